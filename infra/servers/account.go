package servers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"syscall"
)

// unprivileged returns the named user, or nobody where it does not exist, for a server that this process starts as
// root: PostgreSQL refuses to run as root, and Redis needs none of root's rights. It is nil, this process's own user,
// otherwise.
func unprivileged(name string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if errors.As(err, new(user.UnknownUserError)) {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("find a user to run as instead of root: %w", err)
	}
	var c syscall.Credential
	if _, err := fmt.Sscan(u.Uid+" "+u.Gid, &c.Uid, &c.Gid); err != nil {
		return nil, fmt.Errorf("user %s has the uid %q and the gid %q: %w", u.Username, u.Uid, u.Gid, err)
	}
	return &c, nil
}

// ownDir gives dir, with everything in it, to the owner, and makes it if it is missing: it is for the owner alone, but
// others can pass through the parents that are made.
func ownDir(owner *syscall.Credential, dir string) error {
	err := os.MkdirAll(filepath.Dir(dir), 0o755)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil || owner == nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}

// ownFile writes a file that only the owner can read.
func ownFile(owner *syscall.Credential, path string, content []byte) error {
	err := os.WriteFile(path, content, 0o600)
	if err != nil || owner == nil {
		return err
	}
	return os.Lchown(path, int(owner.Uid), int(owner.Gid))
}
