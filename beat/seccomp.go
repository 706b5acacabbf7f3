package beat

import "github.com/elastic/beats/v7/libbeat/common/seccomp"

// allowSystemCalls adds to libbeat's filter what our inputs call and its own do not: statx(2), which alone knows when a file was born.
// Without it a file that takes over the inode of one that was removed, and begins as that did, would pass for the same, and its
// lines for lines sent again. It is called before libbeat loads the filter.
func allowSystemCalls() {
	// There is an error only where libbeat has no filter for the architecture.
	_ = seccomp.ModifyDefaultPolicy(seccomp.AddSyscall, "statx")
}
