package main

import (
	"context"
	"time"

	"petvote/shared/resilience"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// policies are the worker's four ways of asking its dependencies. The worker has no caller who waits, so it tries again
// for as long as it takes; only moving a dead letter is given up for the time being, so that a Redis that is out of
// memory, which refuses just that, does not keep good votes from being acknowledged.
type policies struct{ store, migrate, queue, bury *resilience.Policy }

func newPolicies(l resilience.Listener) policies {
	return policies{
		store:   resilience.New(resilience.Settings{Name: "postgres", Timeout: 5 * time.Second, Permanent: votestore.IsPermanent, Listener: l}),
		migrate: resilience.New(resilience.Settings{Name: "postgres-migrate", Timeout: 15 * time.Second, Listener: l}),
		queue:   resilience.New(resilience.Settings{Name: "redis", Timeout: 2 * time.Second, Permanent: votestream.IsPermanent, Listener: l}),
		bury: resilience.New(resilience.Settings{Name: "redis-dead-letters", Timeout: 2 * time.Second, Budget: 3 * time.Second,
			Permanent: votestream.IsPermanent, Listener: l}),
	}
}

func (p policies) all() []*resilience.Policy {
	return []*resilience.Policy{p.store, p.migrate, p.queue, p.bury}
}

// resilientRecorder stores under a policy.
type resilientRecorder struct {
	next   recorder
	policy *resilience.Policy
}

func (r resilientRecorder) Record(ctx context.Context, entries []votestore.Entry) (votestore.Outcome, error) {
	return resilience.Call(ctx, r.policy, func(ctx context.Context) (votestore.Outcome, error) { return r.next.Record(ctx, entries) })
}

// resilientAcker settles and buries, each under a policy of its own.
type resilientAcker struct {
	next         acker
	settle, bury *resilience.Policy
}

func (s resilientAcker) Ack(ctx context.Context, entryIDs []string) error {
	return s.settle.Do(ctx, func(ctx context.Context) error { return s.next.Ack(ctx, entryIDs) })
}

func (s resilientAcker) CountRetry(ctx context.Context, entryID string) (int64, error) {
	return resilience.Call(ctx, s.bury, func(ctx context.Context) (int64, error) { return s.next.CountRetry(ctx, entryID) })
}

func (s resilientAcker) DeadLetter(ctx context.Context, failures []votestream.Failure) error {
	return s.bury.Do(ctx, func(ctx context.Context) error { return s.next.DeadLetter(ctx, failures) })
}
