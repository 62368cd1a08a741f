package servers

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// attributes gives a child a process group of its own, its user, and the signal it gets when this process is gone.
func attributes(c *syscall.Credential, orphan syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: c, Pdeathsig: orphan}
}

// processTable reads /proc; see proc(5) for the fields of stat.
func processTable() (map[int]entry, error) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("read the process table: %w", err)
	}
	table := make(map[int]entry)
	for _, name := range names {
		pid, err := strconv.Atoi(name.Name())
		if err != nil {
			continue // not a process
		}
		stat, err := os.ReadFile(filepath.Join("/proc", name.Name(), "stat"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // ended meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("read the process table: %w", err)
		}
		// The command's name, in parentheses, may hold spaces and parentheses itself; state and parent follow the last one.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 {
			return nil, fmt.Errorf("read the process table: process %d has the stat line %q", pid, stat)
		}
		parent, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("read the process table: process %d: %w", pid, err)
		}
		table[pid] = entry{parent: parent, zombie: fields[0] == "Z" || fields[0] == "X"}
	}
	return table, nil
}
