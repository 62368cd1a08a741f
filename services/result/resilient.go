package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"petvote/shared/resilience"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// readPolicy is for reads that a request waits for, or that the next poll repeats.
func readPolicy(name string, l resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: name, Timeout: time.Second, Budget: 2 * time.Second,
		Permanent: votestore.IsPermanent, Listener: l})
}

// subscribePolicy is for the connection that receives notices; nobody waits for it, and its connect_timeout bounds it.
func subscribePolicy(l resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: "postgres-listen", Timeout: time.Minute,
		Permanent: votestore.IsPermanent, Listener: l})
}

// queuePolicy is for look-ups that a request waits for. After an attempt that hangs there is time for a quick one.
func queuePolicy(name string, l resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: name, Timeout: 800 * time.Millisecond, Budget: time.Second,
		Permanent: votestream.IsPermanent, Listener: l})
}

// resilientStore reads under policies, one for each use: requests of clients must not open the breaker of the tally.
type resilientStore struct {
	next                            *votestore.Store
	tally, receipts, history, stats *resilience.Policy
	receiptSlots                    *semaphore.Weighted
}

// receiptsAtOnce leaves connections for everything else.
const receiptsAtOnce = maxConns / 2

// receiptWait bounds the wait for one of them.
const receiptWait = time.Second

func newResilientStore(db *votestore.Store, l resilience.Listener) resilientStore {
	return resilientStore{next: db, tally: readPolicy("postgres", l), receipts: readPolicy("postgres-receipts", l),
		history: readPolicy("postgres-history", l), stats: readPolicy("postgres-stats", l),
		receiptSlots: semaphore.NewWeighted(receiptsAtOnce)}
}

func (s resilientStore) policies() []*resilience.Policy {
	return []*resilience.Policy{s.tally, s.receipts, s.history, s.stats}
}

func (s resilientStore) Tally(ctx context.Context) (votestore.Tally, error) {
	return resilience.Call(ctx, s.tally, s.next.Tally)
}

func (s resilientStore) History(ctx context.Context, since time.Time) ([]votestore.Minute, error) {
	return resilience.Call(ctx, s.history, func(ctx context.Context) ([]votestore.Minute, error) {
		return s.next.History(ctx, since)
	})
}

func (s resilientStore) Receipt(ctx context.Context, id uuid.UUID) (votestore.Receipt, error) {
	waiting, cancel := context.WithTimeout(ctx, receiptWait)
	defer cancel()
	if s.receiptSlots.Acquire(waiting, 1) != nil {
		return votestore.Receipt{}, fmt.Errorf("%s %w: too many at once", s.receipts.Name(), resilience.ErrUnavailable)
	}
	defer s.receiptSlots.Release(1)
	return resilience.Call(ctx, s.receipts, func(ctx context.Context) (votestore.Receipt, error) {
		return s.next.Receipt(ctx, id)
	})
}

func (s resilientStore) Stats(ctx context.Context) (votestore.Stats, error) {
	return resilience.Call(ctx, s.stats, s.next.Stats)
}

// resilientQueue looks up in one queue under a policy.
type resilientQueue struct {
	next   voteFinder
	policy *resilience.Policy
}

func (q resilientQueue) Lookup(ctx context.Context, e votestream.Entry, id uuid.UUID) (votestream.Location, error) {
	return resilience.Call(ctx, q.policy, func(ctx context.Context) (votestream.Location, error) {
		return q.next.Lookup(ctx, e, id)
	})
}

// resilientQueues are all queues, each in the place that is its name.
type resilientQueues []resilientQueue

func (all resilientQueues) policies() (policies []*resilience.Policy) {
	for _, q := range all {
		policies = append(policies, q.policy)
	}
	return policies
}

// Lookup looks in the queue that the entry names, then in all others at once, so that it takes no longer than two
// look-ups. The vote is in none only if all say so, the one that the entry names among them: it may be on the list of
// other services alone.
func (all resilientQueues) Lookup(ctx context.Context, e votestream.Entry, id uuid.UUID) (votestream.Location, error) {
	others, answers := slices.Clone(all), []error{votestream.ErrNotQueued}
	if named, err := strconv.Atoi(e.Queue); err == nil && named < len(all) {
		found, err := all[named].Lookup(ctx, e, id)
		if err == nil {
			return found, nil
		}
		others, answers = slices.Delete(others, named, named+1), append(answers, err)
	} else if e.Queue != "" {
		answers = append(answers, votestream.ErrMaybeQueued)
	}
	found, errs := make([]votestream.Location, len(others)), make([]error, len(others))
	var lookups sync.WaitGroup
	for i, q := range others {
		lookups.Go(func() { found[i], errs[i] = q.Lookup(ctx, e, id) })
	}
	lookups.Wait()
	if i := slices.Index(errs, nil); i >= 0 {
		return found[i], nil
	}
	return votestream.Location{}, slices.MaxFunc(append(answers, errs...), func(a, b error) int {
		return cmp.Compare(doubt(a), doubt(b))
	})
}

// doubt is 0 for the answer of a queue that the vote is not in it, and more the less it says.
func doubt(answer error) int {
	switch {
	case errors.Is(answer, votestream.ErrNotQueued):
		return 0
	case errors.Is(answer, votestream.ErrMaybeQueued):
		return 1
	}
	return 2
}
