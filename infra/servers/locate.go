package servers

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNotInstalled is in the error of every server whose program this machine lacks.
var ErrNotInstalled = errors.New("not installed")

func notInstalled(program, name, fedora, brew string) error {
	return fmt.Errorf("%s is %w: run ./infra/packages/install %s (Debian, Ubuntu), dnf install %s (Fedora) or "+
		"brew install %s (macOS)", program, ErrNotInstalled, name, fedora, brew)
}

// findRedis returns the path of redis-server, or of Valkey's, which serves as well.
func findRedis() (string, error) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", notInstalled("redis-server", "redis", "valkey", "redis")
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
		return filepath.Dir(initdb), nil
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
