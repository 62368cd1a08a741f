package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
)

// sweeper is a shell that outlives the test program and removes what is left of it. It reads from a pipe of which this process
// alone holds the other end, so it wakes when this process is gone: after its last test, but also after a panic, a timeout or
// a SIGKILL, when no clean-up in Go is run any more. The kernel has told the servers to end by then (see servers.Process); the
// sweeper wakes those that are paused, so that they can, and kills what has not ended after six seconds. It recognises servers
// by their working directory.
const sweeper = `
read -r _
for attempt in $(seq 40); do
	left=
	for process in /proc/[0-9]*; do
		case "$(readlink "$process/cwd" 2>/dev/null)" in
		"$1"/*) left="$left ${process#/proc/}" ;;
		esac
	done
	test -n "$left" || break
	kill -CONT $left 2>/dev/null
	test "$attempt" -lt 30 || kill -KILL $left 2>/dev/null
	sleep 0.2
done
exec rm -rf "$1"
`

var (
	folders atomic.Int64
	topOnce = sync.OnceValues(newTop)
)

// top is the folder of this test program, which the sweeper removes when the lifeline is cut.
type top struct {
	path     string
	lifeline *os.File // never closed: the end of this process does that
}

// newFolder gives the path of a folder that does not exist yet, in the folder of this test program.
func newFolder() (string, error) {
	top, err := topOnce()
	if err != nil {
		return "", err
	}
	return filepath.Join(top.path, strconv.FormatInt(folders.Add(1), 10)), nil
}

// newTop makes that folder. It is no t.TempDir, which nobody but the owner can enter: as root, servers run as a user of their
// own.
func newTop() (*top, error) {
	path, err := os.MkdirTemp("", "petvote-test-*")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o711); err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil { // the sweeper compares with real paths
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	cmd := exec.Command("/bin/sh", "-c", sweeper, "petvote-sweeper", path)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.Stdin = read
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is not for it
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the sweeper of %s: %w", path, err)
	}
	return &top{path: path, lifeline: write}, nil
}
