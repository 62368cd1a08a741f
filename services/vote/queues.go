package main

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"

	"petvote/shared/resilience"
	"petvote/shared/votestream"
)

// A voter waits for the answer, so it comes within budget, whatever the queues do. Two attempts that hang fit into it.
const (
	budget         = 2 * time.Second
	attemptTimeout = 900 * time.Millisecond
)

// The wait before a vote is tried again by all queues.
const (
	firstWait = 50 * time.Millisecond
	maxWait   = 400 * time.Millisecond
)

func redisPolicy(name string, listener resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{
		Name: name, Timeout: attemptTimeout, Budget: budget, MaxWait: maxWait,
		Permanent: votestream.IsPermanent, Listener: listener,
	})
}

// producer adds votes to one queue.
type producer interface {
	Publish(ctx context.Context, m votestream.Message, wait time.Duration) (votestream.Entry, error)
	Pending() int64 // the votes that wait for an answer
}

// queue is one of those by which a vote may enter.
type queue struct {
	producer
	policy *resilience.Policy       // of the producer's round trips
	health func() resilience.Health // up: it takes votes, as far as pings and breaker tell
}

// spread publishes each vote by one of several queues. A vote that one has not taken may enter by another, since it
// counts once by its id.
type spread struct {
	queues []*queue
	turn   atomic.Uint32
}

// Publish tries all queues, again and again while the vote's budget lasts, until one takes the vote or all breakers are
// open.
func (s *spread) Publish(ctx context.Context, m votestream.Message) (votestream.Entry, error) {
	end := time.Now().Add(budget)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		end = deadline
	}
	entry, failed, err := s.try(ctx, m, end)
	if err == nil { // fast path: most votes succeed at once
		return entry, nil
	}
	waits := backoff.NewExponentialBackOff(backoff.WithInitialInterval(firstWait), backoff.WithMaxInterval(maxWait),
		backoff.WithMaxElapsedTime(max(time.Until(end), 1))) // 0 would mean no limit
	attempt := 1
	for err != nil && !resilience.Refused(err) && !votestream.IsPermanent(err) {
		wait := waits.NextBackOff()
		if wait == backoff.Stop {
			break
		}
		failed.NoteRetry(ctx, attempt, err, wait)
		select {
		case <-ctx.Done():
			return votestream.Entry{}, ctx.Err()
		case <-time.After(wait):
		}
		attempt++
		entry, failed, err = s.try(ctx, m, end)
	}
	if err != nil {
		return votestream.Entry{}, failed.Unavailable(err)
	}
	return entry, nil
}

// try tries each queue once. The error is that of the first queue which a vote reached, if it reached any.
func (s *spread) try(ctx context.Context, m votestream.Message, end time.Time) (
	entry votestream.Entry, failed *resilience.Policy, err error,
) {
	order := s.order()
	for i, next := range order {
		entry, errNext := next.Publish(ctx, m, time.Until(end)/time.Duration(len(order)-i))
		if errNext == nil {
			return entry, nil, nil
		}
		if err == nil || resilience.Refused(err) {
			failed, err = next.policy, errNext
		}
		if i < len(order)-1 {
			next.policy.NoteRetry(ctx, i+1, errNext, 0)
		}
	}
	return votestream.Entry{}, failed, err
}

// order returns the queues in the order in which a vote tries them: those that are up first, of these the one with the
// fewest votes that wait, so that one that hangs gets few, and of equal ones each in turn.
func (s *spread) order() []*queue {
	n := len(s.queues)
	if n == 1 {
		return s.queues
	}
	turn := int(s.turn.Add(1))
	order, load := make([]*queue, n), make(map[*queue]int64, n)
	for i := range order {
		order[i] = s.queues[(turn+i)%n]
		if load[order[i]] = order[i].Pending(); !order[i].health().Up {
			load[order[i]] += math.MaxInt32
		}
	}
	slices.SortStableFunc(order, func(a, b *queue) int { return cmp.Compare(load[a], load[b]) })
	return order
}
