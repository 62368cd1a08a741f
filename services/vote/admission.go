package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"petvote/shared/config"
	"petvote/shared/votestream"
)

// errOverloaded reports that no slot became free in time.
var errOverloaded = errors.New("too many votes in flight")

// acquireTimeout leaves a vote time for an attempt that hangs. Refusing sooner would cost nearly as much as accepting.
const acquireTimeout = time.Second

// admission bounds the number of votes in flight. Others wait for a slot, and are refused if none becomes free in time.
type admission struct {
	next             publisher
	slots            chan struct{} // holds an element for each vote in flight
	waiting, refused atomic.Int64
}

func newAdmission(next publisher, slots config.Count) *admission {
	return &admission{next: next, slots: make(chan struct{}, slots)}
}

func (a *admission) Publish(ctx context.Context, m votestream.Message) (votestream.Entry, error) {
	select {
	case a.slots <- struct{}{}:
	default:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, budget) // waiting uses up the budget too
		defer cancel()
		if err := a.acquire(ctx); err != nil {
			return votestream.Entry{}, err
		}
	}
	defer func() { <-a.slots }()
	return a.next.Publish(ctx, m)
}

func (a *admission) acquire(ctx context.Context) error {
	a.waiting.Add(1)
	defer a.waiting.Add(-1)
	timeout := time.NewTimer(acquireTimeout)
	defer timeout.Stop()
	select {
	case a.slots <- struct{}{}:
		return nil
	case <-timeout.C:
		a.refused.Add(1)
		return errOverloaded
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *admission) stats() (inFlight, waiting, refused int64) {
	return int64(len(a.slots)), a.waiting.Load(), a.refused.Load()
}
