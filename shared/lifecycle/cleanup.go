package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	cleanupTimeout = 3 * time.Second        // for each clean-up
	cleanupsLimit  = 5 * time.Second        // for all of them, so that a stop keeps to its grace period
	leastTimeout   = 200 * time.Millisecond // for each, however late it is
	reportGrace    = 100 * time.Millisecond // after that, for a task that obeys its context to return its error
)

// Cleanups is a stack of tasks that undo the start. The zero value is empty.
type Cleanups struct{ tasks []cleanup }

type cleanup struct {
	name string
	do   func(context.Context) error
}

// Add puts a task on the stack.
func (c *Cleanups) Add(name string, do func(context.Context) error) {
	c.tasks = append(c.tasks, cleanup{name, do})
}

// Run empties the stack from the top. Each task has its own time-out, and less time when those before it took long.
// After a failed task the others still run. The error joins theirs, each with its task's name.
func (c *Cleanups) Run() error {
	end := time.Now().Add(cleanupsLimit)
	var errs []error
	for i := len(c.tasks) - 1; i >= 0; i-- {
		timeout := max(min(cleanupTimeout, time.Until(end)), leastTimeout)
		if err := c.tasks[i].run(timeout); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", c.tasks[i].name, err))
		}
	}
	c.tasks = nil
	return errors.Join(errs...)
}

func (t cleanup) run(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- t.do(ctx) }() // abandoned if it hangs: the process ends now
	select {
	case err := <-done:
		return err
	case <-time.After(timeout + reportGrace):
		return errors.New("did not end in time")
	}
}

// Background runs a task whose clean-up cancels its context and waits until it has returned.
func (c *Cleanups) Background(name string, task func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- task(ctx) }()
	c.Add(name, func(context.Context) error { cancel(); return <-ended })
}
