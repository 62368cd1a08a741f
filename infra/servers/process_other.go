//go:build !linux

package servers

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"syscall"
)

// attributes gives a child a process group of its own and its user. There is no signal for a parent's end here.
func attributes(c *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: c}
}

func processTable() (map[int]entry, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,state=").Output()
	if err != nil {
		return nil, fmt.Errorf("read the process table: %w", err)
	}
	table := make(map[int]entry)
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var pid, parent int
		var state string
		if _, err := fmt.Sscan(lines.Text(), &pid, &parent, &state); err != nil {
			return nil, fmt.Errorf("read the process table: %q: %w", lines.Text(), err)
		}
		table[pid] = entry{parent: parent, zombie: state[0] == 'Z'}
	}
	return table, lines.Err()
}
