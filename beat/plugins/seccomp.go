package plugins

import (
	"sync"

	"github.com/elastic/beats/v7/libbeat/common/seccomp"
	bpf "github.com/elastic/go-seccomp-bpf"
)

// Allow makes libbeat load another filter of system calls. Its own allows what a beat calls, which execve is not among, and a plugin,
// which inherits it, could do little. In its place stands a list of what neither has any business with. The key seccomp of the
// configuration goes before both. It is called before libbeat loads the filter.
var Allow = sync.OnceFunc(func() {
	seccomp.MustRegisterPolicy(&bpf.Policy{
		DefaultAction: bpf.ActionAllow,
		Syscalls: []bpf.SyscallGroup{{Action: bpf.ActionErrno, Names: []string{
			"acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "delete_module", "finit_module", "init_module", "kexec_load", "keyctl", "mount", "move_pages", "name_to_handle_at",
			"open_by_handle_at", "perf_event_open", "pivot_root", "process_vm_readv", "process_vm_writev", "ptrace", "quotactl", "reboot", "request_key", "setns", "settimeofday",
			"swapoff", "swapon", "umount2", "unshare", "userfaultfd",
		}}},
	})
})
