//go:build !linux

package servers

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
)

// attributes gives a child a process group of its own and its user. There is no signal for a parent's end here.
func attributes(c *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: c}
}

// livingParents maps every process, except those that have ended and are not reaped yet, to its parent.
func livingParents() (map[int]int, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,state=").Output()
	if err != nil {
		return nil, fmt.Errorf("read the process table: %w", err)
	}
	parents := make(map[int]int)
	for line := range strings.Lines(string(out)) {
		var pid, parent int
		var state string
		if _, err := fmt.Sscan(line, &pid, &parent, &state); err != nil {
			return nil, fmt.Errorf("read the process table: %q: %w", line, err)
		}
		if state[0] != 'Z' {
			parents[pid] = parent
		}
	}
	return parents, nil
}
