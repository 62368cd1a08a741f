package servers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the unprivileged user a server runs as when this process is root: PostgreSQL refuses to run as root, and Redis
// needs none of root's rights. The nil account stands for this process's own user.
type account struct {
	name     string
	uid, gid uint32
}

// unprivileged gives the first of the named users that exists, or nobody; nil if this process is not root.
func unprivileged(names ...string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range append(names, "nobody") {
		u, err := user.Lookup(name)
		if errors.As(err, new(user.UnknownUserError)) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up the user %s: %w", name, err)
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("the user %s has the id %q: %w", name, u.Uid, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("the user %s has the group %q: %w", name, u.Gid, err)
		}
		return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("none of the users %v and nobody exists, and a server must not run as root", names)
}

func (a *account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// ownDir makes dir the account's own, with all that is in it, and readable by it alone. Missing parents are made so that the
// account can pass through them; one that exists and does not let it pass is an error.
func (a *account) ownDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if a == nil {
		return nil
	}
	if err := a.canReach(dir); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(a.uid), int(a.gid))
	})
}

// ownFile writes a file that only the account can read.
func (a *account) ownFile(path string, content []byte) error {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	if a == nil {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// canReach checks that the account may pass through every parent of dir.
func (a *account) canReach(dir string) error {
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return err
		}
		owner, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return nil
		}
		pass := info.Mode().Perm()&0o001 != 0
		switch {
		case owner.Uid == a.uid:
			pass = info.Mode().Perm()&0o100 != 0
		case owner.Gid == a.gid:
			pass = info.Mode().Perm()&0o010 != 0
		}
		if !pass {
			return fmt.Errorf("the user %s, as which the server runs, can't enter %s (mode %v): use a folder elsewhere", a.name, parent, info.Mode().Perm())
		}
		if parent == filepath.Dir(parent) {
			return nil
		}
	}
}
