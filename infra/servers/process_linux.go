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

func processTable() (map[int]entry, error) {
	processes, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("read the process table: %w", err)
	}
	table := make(map[int]entry, len(processes))
	for _, p := range processes {
		stat, err := p.Stat()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // ended meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("read the process table: %w", err)
		}
		table[p.PID] = entry{parent: stat.PPID, zombie: stat.State == "Z" || stat.State == "X"}
	}
	return table, nil
}
