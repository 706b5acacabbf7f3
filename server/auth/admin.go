package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tallylog/tally/internal/durable"
)

// The first user, and the file in the data directory that holds a password made up for them.
const (
	AdminName    = "admin"
	PasswordFile = "admin-password"
)

// EnsureAdmin makes the user "admin" on the first start, that is while there is no user at all; later it does nothing. With
// an empty password it makes one up, writes it to DIR/admin-password (0600), and returns it in shown, for printing. A given
// password is the operator's own business and only has to be something that can be sent: it is neither written nor shown.
func (s *Store) EnsureAdmin(ctx context.Context, dir, password string) (created bool, shown string, err error) {
	s.mu.RLock()
	n := len(s.users)
	s.mu.RUnlock()
	if n > 0 {
		return false, "", nil
	}
	if len(password) > maxPasswordLen || looksLikeToken(password) {
		return false, "", fmt.Errorf("cannot make user %q: the password has more than %d bytes or the form of an API token", AdminName, maxPasswordLen)
	}
	if password == "" {
		password = rand.Text()
		shown = password
		// The file comes first: after a crash between the two, the next start makes up another password and replaces it.
		// What such a crash left goes first, so that the file has no other permissions than these.
		file := filepath.Join(dir, PasswordFile)
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, "", err
		}
		if err := durable.Replace(file, []byte(password+"\n"), 0o600); err != nil {
			return false, "", err
		}
	}
	_, err = s.insertUser(ctx, Tenant{Number: DefaultTenant, Name: DefaultTenantName}, UserRequest{Name: AdminName, Password: password, Role: RoleAdmin})
	if err != nil {
		return false, "", fmt.Errorf("cannot make user %q: %w", AdminName, err)
	}
	return true, shown, nil
}
