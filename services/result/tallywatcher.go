package main

import (
	"context"
	"log/slog"
	"time"

	"petvote/shared/resilience"
	"petvote/shared/votestore"
)

const (
	pushEvery  = 100 * time.Millisecond // at least: ten pushes a second
	pollEvery  = 2 * time.Second        // in case a notice was lost
	retryEvery = 500 * time.Millisecond // after a failed read
	renewEvery = time.Second            // between subscriptions, which may end as soon as they are open
	maxTraces  = 64                     // in one push
)

// refresher reads the tally and pushes it.
type refresher interface {
	Refresh(ctx context.Context, n votestore.Notice) error
}

// tallyWatcher is the only reader of the tally, for all viewers. It reads on each notice of a change, and every 2 s.
type tallyWatcher struct {
	cache     refresher
	subscribe func(context.Context) (*votestore.Subscription, error)
	policy    *resilience.Policy // for subscribing; it never gives up
	notices   chan votestore.Notice
}

func newTallyWatcher(cache refresher, p *resilience.Policy,
	subscribe func(context.Context) (*votestore.Subscription, error)) *tallyWatcher {
	return &tallyWatcher{cache: cache, subscribe: subscribe, policy: p, notices: make(chan votestore.Notice)}
}

// listen keeps a subscription open until ctx ends.
func (w *tallyWatcher) listen(ctx context.Context) error {
	for ctx.Err() == nil {
		sub, err := resilience.Call(ctx, w.policy, w.subscribe)
		if err != nil {
			continue // the call fails only when ctx ends
		}
		opened := time.Now()
		err = w.receive(ctx, sub)
		if ctx.Err() == nil {
			slog.WarnContext(ctx, "subscription lost, polling until it is restored", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(opened.Add(renewEvery))):
		}
	}
	return nil
}

func (w *tallyWatcher) receive(ctx context.Context, sub *votestore.Subscription) error {
	defer sub.Close()
	var n votestore.Notice // the first stands for the changes made before the subscription
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case w.notices <- n: // waits while the tally is read
		}
		var err error
		if n, err = sub.Next(ctx); err != nil {
			return err
		}
	}
}

// push reads and pushes until ctx ends. Notices are merged until a read succeeds.
func (w *tallyWatcher) push(ctx context.Context) error {
	poll, pause := time.NewTimer(pollEvery), time.NewTimer(0)
	defer poll.Stop()
	defer pause.Stop()
	var pending votestore.Notice
	paused, due := true, false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
			paused = false
		case <-poll.C:
			due = true
		case n := <-w.notices:
			pending, due = pending.Merge(n), true
			pending.Traces = pending.Traces[:min(len(pending.Traces), maxTraces)]
		}
		if paused || !due {
			continue
		}
		paused, due = true, false
		pause.Reset(pushEvery)
		poll.Reset(pollEvery)
		if w.cache.Refresh(ctx, pending) != nil {
			poll.Reset(retryEvery)
		} else {
			pending = votestore.Notice{}
		}
	}
}
