package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"petvote/shared/resilience"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// The policies retry for as long as it takes, because nobody waits for the worker, but for a batch that may be stored
// in parts: see [consumer]. Only dead-lettering has a budget: a Redis that is out of memory refuses it, and good votes
// must be acknowledged nevertheless.
func newStorePolicy(l resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: "postgres", Timeout: storeTimeout, Permanent: votestore.IsPermanent,
		Oversized: votestore.IsOfSomeEntries, Listener: l})
}

// queuePolicies are those of one queue.
type queuePolicies struct{ queue, deadLetters *resilience.Policy }

func newQueuePolicies(name string, l resilience.Listener) queuePolicies {
	queue := resilience.Settings{Name: name, Timeout: 2 * time.Second, Permanent: votestream.IsPermanent, Listener: l}
	deadLetters := queue
	deadLetters.Name, deadLetters.Budget = name+"-dead-letters", 3*time.Second
	return queuePolicies{resilience.New(queue), resilience.New(deadLetters)}
}

// resilientStore calls the store under its policy.
type resilientStore struct {
	next   recorder
	policy *resilience.Policy
}

func (s resilientStore) Record(ctx context.Context, entries []votestore.Entry) (votestore.Outcome, error) {
	return resilience.Call(ctx, s.policy, func(ctx context.Context) (votestore.Outcome, error) {
		return s.next.Record(ctx, entries)
	})
}

// resilientQueue calls a queue under its policies.
type resilientQueue struct {
	next     acker
	policies queuePolicies
}

func (q resilientQueue) Ack(ctx context.Context, entryIDs []string) error {
	return q.policies.queue.Do(ctx, func(ctx context.Context) error { return q.next.Ack(ctx, entryIDs) })
}

func (q resilientQueue) CountRetry(ctx context.Context, entryID string) (int64, error) {
	return resilience.Call(ctx, q.policies.deadLetters, func(ctx context.Context) (int64, error) {
		return q.next.CountRetry(ctx, entryID)
	})
}

func (q resilientQueue) ForgetRetries(ctx context.Context, entryID string) error {
	return q.policies.deadLetters.Do(ctx, func(ctx context.Context) error { return q.next.ForgetRetries(ctx, entryID) })
}

// deadLettersAtOnce is how many a slow Redis, too, can take within an attempt.
const deadLettersAtOnce = 50

// DeadLetter moves the entries in chunks: one that can't be moved holds up only its own chunk.
func (q resilientQueue) DeadLetter(ctx context.Context, failures []votestream.Failure) error {
	var errs []error
	for part := range slices.Chunk(failures, deadLettersAtOnce) {
		err := q.policies.deadLetters.Do(ctx, func(ctx context.Context) error { return q.next.DeadLetter(ctx, part) })
		errs = append(errs, err)
		if resilience.Refused(err) || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}
