package main

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"petvote/shared/resilience"
	"petvote/shared/votestream"
)

// A voter waits for the answer, so it comes within budget, whatever the queues do. Two attempts that hang fit into it.
const (
	budget         = 2 * time.Second
	attemptTimeout = 900 * time.Millisecond
)

// maxWait bounds the wait before a vote is tried again by all queues.
const maxWait = 400 * time.Millisecond

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

// queue is one of several that take votes.
type queue struct {
	producer
	policy *resilience.Policy // of the producer's round trips
	up     func() bool        // it takes votes, as far as pings and breaker tell
}

func (q *queue) Policy() *resilience.Policy { return q.policy }

// balancer spreads votes over several queues. A vote that one has not taken may enter by another, since it counts once
// by its id.
type balancer struct {
	queues     []*queue
	roundRobin atomic.Uint32
}

// Publish returns once a queue has taken the vote, or when the vote's budget is used up or no queue can take it.
func (b *balancer) Publish(ctx context.Context, m votestream.Message) (votestream.Entry, error) {
	return resilience.Any(ctx, b.order, func(c candidate, within time.Duration) (votestream.Entry, error) {
		return c.Publish(ctx, m, within)
	})
}

// candidate is a queue with its state at the moment when the order was made.
type candidate struct {
	*queue
	down    int // 1 if it is
	pending int64
}

// order returns the queues in the order in which a vote tries them: those that are up first, of these the one with the
// fewest waiting votes, so that a queue that hangs gets few, and of equal ones each round robin.
func (b *balancer) order() []candidate {
	n := len(b.queues)
	first := int(b.roundRobin.Add(1) % uint32(n))
	order := make([]candidate, n)
	for i := range order {
		q := b.queues[(first+i)%n]
		order[i] = candidate{queue: q, pending: q.Pending()}
		if !q.up() {
			order[i].down = 1
		}
	}
	slices.SortStableFunc(order, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.down, b.down), cmp.Compare(a.pending, b.pending))
	})
	return order
}
