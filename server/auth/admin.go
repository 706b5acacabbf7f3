package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		if err := writePrivate(filepath.Join(dir, PasswordFile), password+"\n"); err != nil {
			return false, "", err
		}
	}
	_, err = s.insertUser(ctx, Tenant{Number: DefaultTenant, Name: DefaultTenantName}, UserRequest{Name: AdminName, Password: password, Role: RoleAdmin})
	if err != nil {
		return false, "", fmt.Errorf("cannot make user %q: %w", AdminName, err)
	}
	return true, shown, nil
}

// writePrivate replaces path by a file that its owner alone can read, durably.
func writePrivate(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return fmt.Errorf("cannot make %q: %w", path, err)
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot write %q: %w", path, err), os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot open directory %q: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("cannot sync directory %q: %w", dir, err)
	}
	return nil
}
