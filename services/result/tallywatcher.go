package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"petvote/shared/config"
	"petvote/shared/resilience"
	"petvote/shared/votestore"
)

const (
	pushEvery  = 16 * time.Millisecond  // at most, about once in a frame
	perViewer  = 10 * time.Microsecond  // between two pushes, about what one costs
	pollEvery  = 2 * time.Second        // in case a notice was lost
	retryEvery = 500 * time.Millisecond // after a failed read
	pollAlone  = 100 * time.Millisecond // while no notices come
	renewEvery = time.Second            // between subscriptions, which may end as soon as they are open
	maxTraces  = 64                     // in one push
)

// refresher reads the tally and pushes it.
type refresher interface {
	Refresh(ctx context.Context, n votestore.Notice) error
}

// tallyWatcher is the only reader of the tally, for all viewers. It reads at once on a notice of a change, but not more
// often than its viewers allow, and every 2 s. While no notices come it reads ten times a second.
type tallyWatcher struct {
	cache     refresher
	viewers   func() int
	subscribe func(context.Context) (*votestore.Subscription, error)
	policy    *resilience.Policy // for subscribing; it never gives up
	notices   chan votestore.Notice

	notified   atomic.Bool  // notices come
	notifiedAt atomic.Int64 // when they last did, in Unix nanoseconds
	readable   atomic.Bool  // the last read succeeded
}

func newTallyWatcher(cache refresher, viewers func() int, p *resilience.Policy,
	subscribe func(context.Context) (*votestore.Subscription, error)) *tallyWatcher {
	w := &tallyWatcher{cache: cache, viewers: viewers, subscribe: subscribe, policy: p,
		notices: make(chan votestore.Notice)}
	w.notifiedAt.Store(time.Now().UnixNano())
	return w
}

// setNotified notes whether notices come, and returns whether they did before.
func (w *tallyWatcher) setNotified(now bool) (before bool) {
	if before = w.notified.Swap(now); before {
		w.notifiedAt.Store(time.Now().UnixNano())
	}
	return before
}

// findings says that notices do not come, though PostgreSQL can be read. A subscription has 5 s to begin.
func (w *tallyWatcher) findings() []config.Finding {
	const grace = 5 * time.Second
	if w.notified.Load() || !w.readable.Load() || time.Since(time.Unix(0, w.notifiedAt.Load())) < grace {
		return nil
	}
	return []config.Finding{{Setting: "DATABASE_LISTEN_URL", Problem: "LISTEN receives no notices, as through a " +
		"pooler in transaction mode, so the tally is read ten times a second, and pushes have no traces; " +
		"set an address that leads past the pooler"}}
}

// listen keeps a subscription open until ctx ends.
func (w *tallyWatcher) listen(ctx context.Context) error {
	logged := false // that the subscription receives nothing
	for ctx.Err() == nil {
		sub, err := resilience.Call(ctx, w.policy, w.subscribe)
		if err != nil {
			continue // the call fails only when ctx ends
		}
		opened := time.Now()
		err = w.receive(ctx, sub)
		silent := !w.setNotified(false) && errors.Is(err, votestore.ErrNoNotices) // from its beginning
		if ctx.Err() == nil && !(silent && logged) {
			slog.WarnContext(ctx, "subscription lost, polling until it is restored (DATABASE_LISTEN_URL)", "error", err)
		}
		if logged = silent; silent {
			pause(ctx, subscribeAgain)
		}
		pause(ctx, time.Until(opened.Add(renewEvery)))
	}
	return nil
}

// subscribeAgain is the pause after a subscription to which no notice ever came.
const subscribeAgain = 10 * time.Second

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (w *tallyWatcher) receive(ctx context.Context, sub *votestore.Subscription) error {
	defer sub.Close()
	if err := sub.Check(ctx); err != nil {
		return err
	}
	w.setNotified(true)
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

// interval is the shortest time between two pushes.
func (w *tallyWatcher) interval() time.Duration {
	return max(pushEvery, time.Duration(w.viewers())*perViewer)
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
		pause.Reset(w.interval())
		err := w.cache.Refresh(ctx, pending)
		w.readable.Store(err == nil)
		switch {
		case err != nil:
			poll.Reset(retryEvery)
			continue
		case w.notified.Load():
			poll.Reset(pollEvery)
		default:
			poll.Reset(pollAlone)
		}
		pending = votestore.Notice{}
	}
}
