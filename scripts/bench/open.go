package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// follow sends the votes of a schedule when they are due. The times are counted from then.
func (c crowd) follow(ctx context.Context, s schedule) (*answers, error) {
	var next atomic.Int64
	return c.each(ctx, time.Until(s.due(s.votes)), func(v *voter, mine *answers) error {
		for ctx.Err() == nil {
			k := next.Add(1) - 1
			if k >= s.votes {
				return nil
			}
			due := s.due(k)
			if wait := time.Until(due); wait > 0 {
				if err := pause(ctx, wait); err != nil {
					return err
				}
			}
			status, err := v.vote()
			if err != nil && !v.answered {
				// The service closes a connection on which nothing comes for 2 s; a client then takes another.
				if err = v.redial(ctx); err == nil {
					status, err = v.vote()
				}
			}
			if err != nil {
				return err
			}
			if status != http.StatusOK {
				return fmt.Errorf("a vote was answered with status %d", status)
			}
			mine.accepted++
			mine.times = append(mine.times, time.Since(due))
		}
		return nil
	})
}

// offer sends the votes of a schedule whether the service can take them or not: one that is refused with 503 does not come back. Only
// the one goroutine here waits for votes to be due, and one more stands for each vote that is not answered: on the cores that it shares
// with the service a load must cost little. Votes that no connection was free for by the schedule's end are not sent.
func (c crowd) offer(ctx context.Context, s schedule) (*answers, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	end := s.due(s.votes)
	free := newIdle(len(c))
	for _, v := range c {
		if err := v.conn.SetDeadline(end.Add(answerWithin)); err != nil {
			return nil, err
		}
		free.put(v)
	}
	got := make([]answers, len(c))
	sent := 0
	var open sync.WaitGroup
	late := time.NewTimer(time.Until(end))
	defer late.Stop()
	for k := range s.votes {
		due := s.due(k)
		if wait := time.Until(due); wait > 0 {
			time.Sleep(max(wait, offerEvery))
		}
		v := free.take(ctx, late.C)
		if v == nil {
			break
		}
		sent++
		begin := time.Now()
		open.Go(func() {
			status, err := v.vote()
			if err == nil {
				err = got[v.n].note(status, begin)
			}
			if err != nil {
				fail(fmt.Errorf("of %d connections one at least had an error: %w", len(c), err))
				return
			}
			free.put(v)
		})
	}
	open.Wait()
	sum := add(got, time.Since(s.start))
	sum.sent = sent
	return sum, context.Cause(ctx)
}

// idle are the voters without an open vote. The one that was open last goes first, so that no more connections are in use than are
// needed and what they need is still in the caches.
type idle struct {
	some   chan struct{} // holds one for each
	mu     sync.Mutex
	voters crowd
}

func newIdle(most int) *idle { return &idle{some: make(chan struct{}, most)} }

func (i *idle) put(v *voter) {
	i.mu.Lock()
	i.voters = append(i.voters, v)
	i.mu.Unlock()
	i.some <- struct{}{}
}

// take waits for one, and returns nil when it is too late.
func (i *idle) take(ctx context.Context, late <-chan time.Time) *voter {
	select {
	case <-i.some:
	default:
		select {
		case <-i.some:
		case <-late:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	v := i.voters[len(i.voters)-1]
	i.voters = i.voters[:len(i.voters)-1]
	return v
}

// offerEvery is how often at most votes that are due are sent, all at once.
const offerEvery = time.Millisecond
