package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Cleanups are the things to undo at the end, in the reverse order in which they were added. The zero value is empty.
type Cleanups struct{ tasks []cleanup }

type cleanup struct {
	name string
	do   func(context.Context) error
}

// Add puts a task on the stack.
func (c *Cleanups) Add(name string, do func(context.Context) error) {
	c.tasks = append(c.tasks, cleanup{name, do})
}

// Run does every task, each within its own bound of time and whether or not another failed, and empties the stack. Its
// error joins theirs, each with its name.
func (c *Cleanups) Run(each time.Duration) error {
	var errs []error
	for i := len(c.tasks) - 1; i >= 0; i-- {
		if err := c.tasks[i].within(each); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", c.tasks[i].name, err))
		}
	}
	c.tasks = nil
	return errors.Join(errs...)
}

func (t cleanup) within(d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- t.do(ctx) }() // left behind if it does not end, as the process ends now
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done: // it may have ended just in time, or because of the bound
		return err
	case <-time.After(graceAfterBound):
		return errors.New("did not end in time")
	}
}

// graceAfterBound lets a task that heeds its context say how it ended.
const graceAfterBound = 100 * time.Millisecond

// Background runs a task until the clean-up stops it and has seen it end. The task must return when its context ends.
func (c *Cleanups) Background(name string, task func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- task(ctx) }()
	c.Add(name, func(bound context.Context) error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-bound.Done():
			return errors.New("did not end in time")
		}
	})
}
