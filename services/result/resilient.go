package main

import (
	"context"
	"time"

	"github.com/google/uuid"

	"petvote/shared/resilience"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// readPolicy is for reads that a request waits for, or that the next poll repeats.
func readPolicy(l resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: "postgres", Timeout: time.Second, Budget: 2 * time.Second,
		Permanent: votestore.IsPermanent, Listener: l})
}

// subscribePolicy is for the connection that receives notices; nobody waits for it, and its connect_timeout bounds it.
func subscribePolicy(l resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: "postgres-listen", Timeout: time.Minute,
		Permanent: votestore.IsPermanent, Listener: l})
}

// queuePolicy is for look-ups that a request waits for. After an attempt that hangs there is time for a quick one.
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

func (s resilientStore) Stats(ctx context.Context) (votestore.Stats, error) {
	return resilience.Call(ctx, s.policy, s.next.Stats)
}

// resilientQueue looks up under a policy.
type resilientQueue struct {
	next   voteFinder
	policy *resilience.Policy
}

func (q resilientQueue) Lookup(ctx context.Context, e votestream.Entry, id uuid.UUID) (votestream.Location, error) {
	return resilience.Call(ctx, q.policy, func(ctx context.Context) (votestream.Location, error) {
		return q.next.Lookup(ctx, e, id)
	})
}
