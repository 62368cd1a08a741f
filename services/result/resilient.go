package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"petvote/shared/resilience"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// readPolicy is for reads that a request waits for, or that the next poll repeats.
func readPolicy(l resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: "postgres", Timeout: time.Second, Budget: 2 * time.Second,
		Permanent: votestore.IsPermanent, Listener: l})
}

// subscribePolicy is for the connection that receives notices; nobody waits for it.
func subscribePolicy(l resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: "postgres-listen", Timeout: 2 * time.Second,
		Permanent: votestore.IsPermanent, Listener: l})
}

// queuePolicy is for searching the queue, which must not keep a request waiting. One attempt is long enough to search a
// long queue; after an attempt that hangs, the budget leaves time for a quick one.
func queuePolicy(l resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: "redis", Timeout: 800 * time.Millisecond, Budget: time.Second,
		Permanent: votestream.IsPermanent, Listener: l})
}

// resilientStore reads under a policy.
type resilientStore struct {
	next   *votestore.Store
	policy *resilience.Policy
}

func (s resilientStore) Tally(ctx context.Context) (votestore.Tally, error) {
	return resilience.Call(ctx, s.policy, s.next.Tally)
}

func (s resilientStore) History(ctx context.Context, since time.Time) ([]votestore.Minute, error) {
	return resilience.Call(ctx, s.policy, func(ctx context.Context) ([]votestore.Minute, error) {
		return s.next.History(ctx, since)
	})
}

func (s resilientStore) Receipt(ctx context.Context, id uuid.UUID) (votestore.Receipt, error) {
	return resilience.Call(ctx, s.policy, func(ctx context.Context) (votestore.Receipt, error) {
		return s.next.Receipt(ctx, id)
	})
}

// resilientQueue searches the queue under a policy.
type resilientQueue struct {
	next   voteFinder
	policy *resilience.Policy
	slots  *semaphore.Weighted
}

// maxSearches bounds concurrent searches: each may read thousands of entries from the Redis that accepts the votes.
const maxSearches = 4

func newResilientQueue(next voteFinder, p *resilience.Policy) resilientQueue {
	return resilientQueue{next: next, policy: p, slots: semaphore.NewWeighted(maxSearches)}
}

var errBusy = errors.New("too many concurrent searches of the queue")

func (q resilientQueue) Find(ctx context.Context, id uuid.UUID) (votestream.Location, error) {
	if !q.slots.TryAcquire(1) {
		return votestream.Location{}, errBusy
	}
	defer q.slots.Release(1)
	return resilience.Call(ctx, q.policy, func(ctx context.Context) (votestream.Location, error) {
		return q.next.Find(ctx, id)
	})
}
