package servers

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/prometheus/procfs"
)

// attributes gives a child a process group of its own, its user, and the signal it gets when this process is gone.
func attributes(c *syscall.Credential, orphan syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: c, Pdeathsig: orphan}
}

// livingParents maps every process, except those that have ended and are not reaped yet, to its parent.
func livingParents() (map[int]int, error) {
	processes, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("read the process table: %w", err)
	}
	parents := make(map[int]int, len(processes))
	for _, p := range processes {
		stat, err := p.Stat()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // ended meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("read the process table: %w", err)
		}
		if stat.State != "Z" && stat.State != "X" {
			parents[p.PID] = stat.PPID
		}
	}
	return parents, nil
}
