package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"petvote/shared/resilience"
	"petvote/shared/votestore"
)

const (
	pushEvery  = 100 * time.Millisecond // at most: ten pushes a second
	pollEvery  = 2 * time.Second        // in case a notice was missed
	retryEvery = 500 * time.Millisecond // after a read that failed
	maxTraces  = 64                     // of a burst of notices that become one push
)

// refresher reads the tally and pushes it.
type refresher interface {
	Refresh(ctx context.Context, n votestore.Notice) error
}

// feed is the one reader of the tally, whatever the number of viewers. It reads when it is told that the tally has
// changed, and every two seconds in any case.
type tallyWatcher struct {
	board     refresher
	subscribe func(context.Context) (*votestore.Subscription, error)
	policy    *resilience.Policy // for subscribing: tried again for as long as it takes

	mu      sync.Mutex
	pending votestore.Notice // all that have come since the last read
	noticed chan struct{}    // holds a token while there is something to read
}

func newTallyWatcher(b refresher, p *resilience.Policy, subscribe func(context.Context) (*votestore.Subscription, error)) *tallyWatcher {
	return &tallyWatcher{board: b, subscribe: subscribe, policy: p, noticed: make(chan struct{}, 1)}
}

// listen keeps a subscription open until ctx ends.
func (f *tallyWatcher) listen(ctx context.Context) error {
	for ctx.Err() == nil {
		sub, err := resilience.Call(ctx, f.policy, f.subscribe)
		if err != nil {
			continue // only the end of ctx ends the call
		}
		f.notice(votestore.Notice{}) // whatever changed before is read now
		err = f.hear(ctx, sub)
		if ctx.Err() == nil {
			slog.WarnContext(ctx, "subscription lost, polling until it is back", "error", err)
		}
	}
	return nil
}

func (f *tallyWatcher) hear(ctx context.Context, sub *votestore.Subscription) error {
	defer sub.Close()
	for {
		n, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		f.notice(n)
	}
}

// notice asks for a read. Notices that come before it is made become one.
func (f *tallyWatcher) notice(n votestore.Notice) {
	f.mu.Lock()
	f.pending = bounded(f.pending.Merge(n))
	f.mu.Unlock()
	select {
	case f.noticed <- struct{}{}:
	default:
	}
}

// take returns what has been noticed since the last call.
func (f *tallyWatcher) take() votestore.Notice {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.pending
	f.pending = votestore.Notice{}
	return n
}

// push reads and pushes until ctx ends. After a failure the votes behind it belong to the next push.
func (f *tallyWatcher) push(ctx context.Context) error {
	poll, pause := time.NewTimer(pollEvery), time.NewTimer(0)
	defer poll.Stop()
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.noticed:
		case <-poll.C:
		}
		pause.Reset(pushEvery)
		poll.Reset(pollEvery)
		n := f.take()
		if f.board.Refresh(ctx, n) != nil {
			f.putBack(n)
			poll.Reset(retryEvery)
		}
	}
}

func (f *tallyWatcher) putBack(n votestore.Notice) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = bounded(n.Merge(f.pending))
}

func bounded(n votestore.Notice) votestore.Notice {
	n.Traces = n.Traces[:min(len(n.Traces), maxTraces)]
	return n
}
