package servers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// ErrNotInstalled is in the error of every server whose program this machine lacks.
var ErrNotInstalled = errors.New("not installed")

func notInstalled(program, name, fedora, brew string) error {
	return fmt.Errorf("%s is %w: run ./infra/packages/install %s (Debian, Ubuntu), dnf install %s (Fedora) or "+
		"brew install %s (macOS)", program, ErrNotInstalled, name, fedora, brew)
}

// findProgram returns the path of the first of the programs that is installed, or "".
func findProgram(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// postgresFolders are where packages put PostgreSQL's server programs without adding them to PATH: Debian and Ubuntu,
// Fedora's versioned packages, Homebrew on either kind of Mac.
var postgresFolders = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
}

// findPostgres returns the folder of PostgreSQL's server programs: of the given major version, because a server reads
// only data of its own version, else those in PATH, else the newest.
func findPostgres(major string) (string, error) {
	var found []string
	for _, pattern := range postgresFolders {
		programs, err := filepath.Glob(filepath.Join(pattern, "initdb"))
		if err != nil {
			return "", fmt.Errorf("find PostgreSQL: %w", err)
		}
		for _, program := range programs {
			found = append(found, filepath.Dir(program))
		}
	}
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	for _, folder := range found {
		if major != "" && strconv.Itoa(version(folder)) == major {
			return folder, nil
		}
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil { // the other programs lie beside it
			return filepath.Dir(initdb), nil
		}
	}
	if len(found) > 0 {
		return found[0], nil
	}
	return "", notInstalled("PostgreSQL", "postgresql", "postgresql-server", "postgresql@17")
}

// version reads the major version from the name of a folder like /usr/lib/postgresql/15/bin or …/postgresql@17/bin; 0
// where there is none.
func version(folder string) int {
	name := filepath.Base(filepath.Dir(folder))
	n, _ := strconv.Atoi(name[strings.LastIndexAny(name, "@-")+1:])
	return n
}

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
