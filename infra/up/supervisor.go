package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"petvote/infra/platform"
	"petvote/infra/wait"
)

// backoff is the pause before a dead part's next start: first after its first death, twice as long after each further
// one, up to most, and first again for a part that ran for at least healthy.
type backoff struct{ first, most, healthy time.Duration }

// defaultBackoff lets a person watch a part die and come back, and keeps a part that can't start from filling the log.
var defaultBackoff = backoff{first: 100 * time.Millisecond, most: 5 * time.Second, healthy: 10 * time.Second}

// supervisor starts parts in order, keeps each of them running, and stops them in the reverse order. A part is
// restarted whatever ended it, even while parts after it in the order are being stopped. Its methods are for one
// goroutine.
type supervisor struct {
	backoff backoff
	log     *partLog
	keepers []keeper // in the order of their start
}

// keeper keeps one part running.
type keeper struct {
	platform.Part
	cancel context.CancelFunc // ends the keeping; the part runs on
	done   chan struct{}      // closed when nothing starts the part any more
}

// start starts a part, waits until it has started, and keeps it running until stop. A part that fails this first start
// is not tried again.
func (s *supervisor) start(ctx context.Context, p platform.Part) error {
	if err := p.Start(ctx); err != nil {
		return err
	}
	keeping, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k := keeper{Part: p, cancel: cancel, done: make(chan struct{})}
	s.keepers = append(s.keepers, k)
	go func() {
		defer close(k.done)
		s.keep(keeping, p)
	}()
	return nil
}

// keep starts the part again each time it ends, until ctx is done.
func (s *supervisor) keep(ctx context.Context, p platform.Part) {
	pause, started := s.backoff.first, time.Now()
	for failure := error(nil); ctx.Err() == nil; { // of the latest start
		if failure == nil {
			select {
			case <-ctx.Done():
				return
			case <-p.Done():
			}
			if time.Since(started) >= s.backoff.healthy {
				pause = s.backoff.first
			}
			s.log.flush(p.Name())
			s.log.say("%s died (%v), starting again in %v", p.Name(), cmp.Or(p.Err(), errors.New("exit status 0")), pause)
		} else {
			s.log.flush(p.Name())
			s.log.say("%s did not start, trying again in %v: %v", p.Name(), pause, failure)
		}
		if wait.For(ctx, pause) != nil {
			return
		}
		pause = min(2*pause, s.backoff.most)
		if failure = p.Start(ctx); failure == nil {
			started = time.Now()
			s.log.say("%s runs again (pid %d)", p.Name(), p.PID())
		}
	}
}

// stop stops the parts one after the other, the last one started first, each within limit. When ctx is done, the rest
// is killed at once. Nothing runs any more when it returns, except what the error names.
func (s *supervisor) stop(ctx context.Context, limit time.Duration) error {
	var failures []error
	for _, k := range slices.Backward(s.keepers) {
		k.cancel()
		<-k.done
		bounded, cancel := context.WithTimeout(ctx, limit)
		if err := k.Stop(bounded); err != nil {
			failures = append(failures, err)
		} else {
			s.log.say("%s stopped", k.Name())
		}
		cancel()
		s.log.flush(k.Name())
	}
	s.keepers = nil
	return errors.Join(failures...)
}
