package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// sweeper is a shell that outlives this process and cleans up after it. It reads from a pipe of which this process
// alone holds the other end, so it wakes when this process is gone: after its ordinary end, but also after a panic, a
// timeout or a SIGKILL, when no clean-up in Go runs. By then the kernel has signalled the servers to end (see Process).
// The sweeper resumes those that are paused, so that they can, and kills those that have not ended after six seconds.
// It recognises servers by their working directory.
const sweeper = `
read -r _
for attempt in $(seq 40); do
	left=
	for process in /proc/[0-9]*; do
		case "$(readlink "$process/cwd" 2>/dev/null)" in
		"$1" | "$1"/*) left="$left ${process#/proc/}" ;;
		esac
	done
	test -n "$left" || break
	kill -CONT $left 2>/dev/null
	test "$attempt" -lt 30 || kill -KILL $left 2>/dev/null
	sleep 0.2
done
exec rm -rf "$1"
`

// lifelines are this process's ends of the sweepers' pipes. They are kept here because the garbage collector would
// close them.
var lifelines struct {
	sync.Mutex
	ends []*os.File
}

// NewScratch makes a temporary folder for servers and their data, named by the pattern as in os.MkdirTemp. It is
// removed, with every process that works in it, once this process is gone, however it ends. Other users can enter it:
// as root, servers run as a user of their own.
func NewScratch(pattern string) (path string, err error) {
	if path, err = os.MkdirTemp("", pattern); err != nil {
		return "", err
	}
	if err := os.Chmod(path, 0o711); err != nil {
		return "", err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil { // the sweeper compares with real paths
		return "", err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer read.Close()
	cmd := exec.Command("/bin/sh", "-c", sweeper, "petvote-sweeper", path)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.Stdin = read
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is not for it
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start the sweeper of %s: %w", path, err)
	}
	lifelines.Lock()
	defer lifelines.Unlock()
	lifelines.ends = append(lifelines.ends, write)
	return path, nil
}
