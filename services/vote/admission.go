package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"petvote/observability/telemetry"
	"petvote/shared/votestream"
)

// errOverloaded says that a vote has waited in vain for its turn.
var errOverloaded = errors.New("too many votes in flight")

// turnWithin is how long a vote waits for its turn; an attempt that hangs still fits into the budget then. Refusing costs nearly as
// much as accepting, so whoever is refused early takes the place of somebody who could have been accepted in time.
const turnWithin = time.Second

// admission publishes a bounded number of votes at once. Those beyond it wait for their turn, in which they cost next to
// nothing, and are refused when it does not come in time.
type admission struct {
	next             publisher
	turns            chan struct{} // holds one for each vote in flight
	waiting, refused atomic.Int64
}

func newAdmission(next publisher, most atMost) *admission {
	return &admission{next: next, turns: make(chan struct{}, most)}
}

func (a *admission) Publish(ctx context.Context, m votestream.Message) error {
	select {
	case a.turns <- struct{}{}:
	default:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, budget) // the wait is part of it
		defer cancel()
		if err := a.wait(ctx); err != nil {
			return err
		}
	}
	defer func() { <-a.turns }()
	return a.next.Publish(ctx, m)
}

func (a *admission) wait(ctx context.Context) error {
	a.waiting.Add(1)
	defer a.waiting.Add(-1)
	late := time.NewTimer(turnWithin)
	defer late.Stop()
	select {
	case a.turns <- struct{}{}:
		return nil
	case <-late.C:
		a.refused.Add(1)
		return errOverloaded
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *admission) figures() telemetry.Admission {
	return telemetry.Admission{InFlight: int64(len(a.turns)), Waiting: a.waiting.Load(), Refused: a.refused.Load()}
}
