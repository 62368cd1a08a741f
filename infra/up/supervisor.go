package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"petvote/infra/platform"
)

// Part is a program with its name, as the log shows it.
type Part struct {
	Name    string
	Program platform.Part
}

// Backoff says how long a dead part waits for its next start: First after its first death, twice as long after each further
// one, up to Most; and First again for a part that ran for at least Healthy.
type Backoff struct {
	First, Most, Healthy time.Duration
}

// DefaultBackoff lets a person watch a part die and come back, and a part that can't start not fill the log.
var DefaultBackoff = Backoff{First: 100 * time.Millisecond, Most: 5 * time.Second, Healthy: 10 * time.Second}

// Supervisor starts parts in order, keeps each of them running, and stops them in the reverse order. A part is restarted
// whatever ended it, even while parts after it in the order are being stopped. Its methods are for one goroutine.
type Supervisor struct {
	backoff Backoff
	log     *Log
	keepers []*keeper // in the order of their start
}

// keeper keeps one part running.
type keeper struct {
	Part
	cancel context.CancelFunc // ends the keeping; the part runs on
	done   chan struct{}      // closed when nothing starts the part any more
}

// NewSupervisor makes a supervisor without parts, which tells the log about deaths and restarts.
func NewSupervisor(log *Log, backoff Backoff) *Supervisor {
	return &Supervisor{log: log, backoff: backoff}
}

// Start starts a part, waits until it is ready, and keeps it running from then on until Stop. A part that does not start this
// first time is given up, with the error.
func (s *Supervisor) Start(ctx context.Context, part Part) error {
	if err := part.Program.Start(ctx); err != nil {
		return err
	}
	keeping, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k := &keeper{Part: part, cancel: cancel, done: make(chan struct{})}
	s.keepers = append(s.keepers, k)
	go func() {
		defer close(k.done)
		s.keep(keeping, part)
	}()
	return nil
}

// keep starts the part again each time it dies, until ctx is done.
func (s *Supervisor) keep(ctx context.Context, part Part) {
	wait := s.backoff.First
	started := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-part.Program.Done():
		}
		s.log.Flush(part.Name)
		if time.Since(started) >= s.backoff.Healthy {
			wait = s.backoff.First
		}
		s.log.Say("%s died (%s), starting again in %v", part.Name, ending(part.Program.Err()), wait)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			wait = min(2*wait, s.backoff.Most)
			started = time.Now()
			err := part.Program.Start(ctx)
			if err == nil {
				s.log.Say("%s runs again (pid %d)", part.Name, part.Program.PID())
				break
			}
			if ctx.Err() != nil {
				return
			}
			s.log.Flush(part.Name)
			s.log.Say("%s did not start, trying again in %v: %v", part.Name, wait, err)
		}
	}
}

// Stop stops the parts one after the other, the last one started first, each within limit. When ctx is done, those that are
// left are killed at once. Nothing runs any more when it returns, except what the error names.
func (s *Supervisor) Stop(ctx context.Context, limit time.Duration) error {
	var failures []error
	for _, k := range slices.Backward(s.keepers) {
		k.cancel()
		<-k.done
		bounded, cancel := context.WithTimeout(ctx, limit)
		if err := k.Program.Stop(bounded); err != nil {
			failures = append(failures, err)
		} else {
			s.log.Say("%s stopped", k.Name)
		}
		cancel()
		s.log.Flush(k.Name)
	}
	s.keepers = nil
	return errors.Join(failures...)
}

// ending puts the end of a process into words.
func ending(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return fmt.Sprint(err)
}
