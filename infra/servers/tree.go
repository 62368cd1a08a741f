package servers

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
)

// entry is one line of the process table.
type entry struct {
	parent int
	zombie bool // ended, and not yet reaped by its parent
}

// freeze stops a process and all its descendants with SIGSTOP, and returns them, the process itself first. It reads the
// process table again until it finds nothing new, because a descendant may start another before it is stopped itself.
func freeze(root int) ([]int, error) {
	var members []int
	for {
		tree, err := descent(root)
		if err != nil {
			return nil, err
		}
		before := len(members)
		for _, pid := range tree {
			if slices.Contains(members, pid) {
				continue
			}
			if err := signal(pid, syscall.SIGSTOP); err != nil {
				return nil, err
			}
			members = append(members, pid)
		}
		if len(members) == before {
			return members, nil
		}
	}
}

// thaw lets a process and all its descendants go on, the descendants first.
func thaw(root int) error {
	tree, err := descent(root)
	if err != nil {
		return err
	}
	slices.Reverse(tree)
	for _, pid := range tree {
		if err := signal(pid, syscall.SIGCONT); err != nil {
			return err
		}
	}
	return nil
}

// descent lists a process and all its living descendants, parents before children.
func descent(root int) ([]int, error) {
	table, err := processTable()
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for pid, e := range table {
		if !e.zombie {
			children[e.parent] = append(children[e.parent], pid)
		}
	}
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

// living gives those of the processes that have not ended.
func living(pids []int) ([]int, error) {
	table, err := processTable()
	if err != nil {
		return nil, err
	}
	var left []int
	for _, pid := range pids {
		if e, ok := table[pid]; ok && !e.zombie {
			left = append(left, pid)
		}
	}
	return left, nil
}

// signal sends a signal; a process that is gone already is no error.
func signal(pid int, s syscall.Signal) error {
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %v to process %d: %w", s, pid, err)
	}
	return nil
}
