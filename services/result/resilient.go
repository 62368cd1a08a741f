package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"petvote/shared/resilience"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// store is what the service reads from PostgreSQL.
type store interface {
	tallyReader
	minuteReader
	receiptReader
}

// readPolicy is for reads that someone waits for, or that the next poll repeats anyway.
func readPolicy(l resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: "postgres", Timeout: time.Second, Budget: 2 * time.Second,
		Permanent: votestore.IsPermanent, Listener: l})
}

// subscribePolicy is for the connection that hears notices; nobody waits for it.
func subscribePolicy(l resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: "postgres-listen", Timeout: 2 * time.Second, Permanent: votestore.IsPermanent, Listener: l})
}

// queuePolicy is for looking into the queue, for whose sake nobody shall wait long. A search of many pages in a queue that
// is long fits into one attempt, and after one that hangs there is time for another that is quick.
func queuePolicy(l resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: "redis", Timeout: 800 * time.Millisecond, Budget: time.Second,
		Permanent: votestream.IsPermanent, Listener: l})
}

// resilientStore reads under a policy.
type resilientStore struct {
	next   store
	policy *resilience.Policy
}

func (s resilientStore) Tally(ctx context.Context) (votestore.Tally, error) {
	return resilience.Call(ctx, s.policy, s.next.Tally)
}

func (s resilientStore) History(ctx context.Context, since time.Time) ([]votestore.Minute, error) {
	return resilience.Call(ctx, s.policy, func(ctx context.Context) ([]votestore.Minute, error) { return s.next.History(ctx, since) })
}

func (s resilientStore) Receipt(ctx context.Context, id uuid.UUID) (votestore.Receipt, error) {
	return resilience.Call(ctx, s.policy, func(ctx context.Context) (votestore.Receipt, error) { return s.next.Receipt(ctx, id) })
}

// resilientQueue looks into the queue under a policy.
type resilientQueue struct {
	next   voteFinder
	policy *resilience.Policy
	places chan struct{} // taken while a search goes on
}

// maxSearches bounds those that go on at once: each may read thousands of entries from the Redis that takes the votes.
const maxSearches = 4

func newResilientQueue(next voteFinder, p *resilience.Policy) resilientQueue {
	return resilientQueue{next: next, policy: p, places: make(chan struct{}, maxSearches)}
}

var errBusy = errors.New("too many votes are being looked for")

func (q resilientQueue) Find(ctx context.Context, id uuid.UUID) (votestream.Location, error) {
	select {
	case q.places <- struct{}{}:
		defer func() { <-q.places }()
	default:
		return votestream.Location{}, errBusy
	}
	return resilience.Call(ctx, q.policy, func(ctx context.Context) (votestream.Location, error) { return q.next.Find(ctx, id) })
}
