package servers

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
)

// freeze stops a process and all its descendants with SIGSTOP, and returns them, the process itself first. It reads the
// process table again until it finds nothing new, because a descendant may start another before it is stopped itself.
func freeze(root int) ([]int, error) {
	var frozen []int
	for {
		tree, err := descent(root)
		if err != nil {
			return nil, err
		}
		running := slices.DeleteFunc(tree, func(pid int) bool { return slices.Contains(frozen, pid) })
		if len(running) == 0 {
			return frozen, nil
		}
		if err := signal(syscall.SIGSTOP, running...); err != nil {
			return nil, err
		}
		frozen = append(frozen, running...)
	}
}

// thaw lets a process and all its descendants go on (SIGCONT), the descendants first.
func thaw(root int) error {
	tree, err := descent(root)
	if err != nil {
		return err
	}
	slices.Reverse(tree)
	return signal(syscall.SIGCONT, tree...)
}

// descent lists a process and all its living descendants, parents before children.
func descent(root int) ([]int, error) {
	parents, err := livingParents()
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for pid, parent := range parents {
		children[parent] = append(children[parent], pid)
	}
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

// ended returns an error while one of the processes has not ended.
func ended(pids []int) error {
	parents, err := livingParents()
	for _, pid := range pids {
		if _, lives := parents[pid]; lives {
			return fmt.Errorf("process %d has not ended", pid)
		}
	}
	return err
}

// signal sends a signal to each process; one that is gone already is no error.
func signal(s syscall.Signal, pids ...int) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal %v to process %d: %w", s, pid, err)
		}
	}
	return nil
}
