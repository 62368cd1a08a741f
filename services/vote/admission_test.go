package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/resilience"
	"petvote/shared/votestream"
)

func TestAVoteThatGetsNoSlotInTimeIsRefusedAndTheOthersAreAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := make(slow)
		h := (&fakeQueue{}).handler()
		limit := newAdmission(full, 3)
		h.queue = limit
		check := func(inFlight, waiting, refused int64) {
			t.Helper()
			synctest.Wait()
			if f, w, r := limit.stats(); f != inFlight || w != waiting || r != refused {
				t.Errorf("%d in flight, %d waiting, %d refused; want %d, %d, %d", f, w, r, inFlight, waiting, refused)
			}
		}
		start := time.Now()
		var voters sync.WaitGroup
		for range 3 {
			voters.Go(func() {
				if w := post(t.Context(), h); w.Code != http.StatusOK {
					t.Errorf("status %d", w.Code)
				}
			})
		}
		synctest.Wait() // all three are in flight
		for range 5 {
			voters.Go(func() {
				w := post(t.Context(), h)
				took := time.Since(start)
				if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || took != acquireTimeout {
					t.Errorf("status %d after %v, header %v", w.Code, took, w.Header())
				}
			})
		}
		check(3, 5, 0)
		time.Sleep(2 * acquireTimeout)
		check(3, 0, 5)
		for range 2 {
			voters.Go(func() {
				if w := post(t.Context(), h); w.Code != http.StatusOK {
					t.Errorf("status %d, though it got a slot in time", w.Code)
				}
			})
		}
		time.Sleep(acquireTimeout / 2)
		close(full)
		voters.Wait()
		check(0, 0, 5)
	})
}

func TestTheWaitForASlotIsPartOfAVotesBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hanging := make(slow)
		h := (&fakeQueue{}).handler()
		h.queue = newAdmission(hanging, 1)
		first, leave := context.WithCancel(t.Context())
		var voters sync.WaitGroup
		voters.Go(func() { _, _ = h.queue.Publish(first, votestream.Message{}) })
		synctest.Wait()
		voters.Go(func() {
			start := time.Now()
			if w := post(t.Context(), h); w.Code != http.StatusServiceUnavailable || time.Since(start) != budget {
				t.Errorf("status %d after %v", w.Code, time.Since(start))
			}
		})
		time.Sleep(acquireTimeout / 2)
		leave()
		voters.Wait()
	})
}

// slow accepts every vote once it is closed.
type slow chan struct{}

func (s slow) Publish(ctx context.Context, _ votestream.Message) (votestream.Entry, error) {
	select {
	case <-s:
		return testEntry, nil
	case <-ctx.Done():
		return votestream.Entry{}, ctx.Err()
	}
}

// fakeProducer publishes by a fake queue, under a policy.
type fakeProducer struct {
	queue   *fakeQueue
	policy  *resilience.Policy
	pending atomic.Int64
}

func (p *fakeProducer) Publish(ctx context.Context, m votestream.Message, wait time.Duration) (
	entry votestream.Entry, err error,
) {
	p.pending.Add(1)
	defer p.pending.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err = p.policy.Once(ctx, func(ctx context.Context) error {
		entry, err = p.queue.Publish(ctx, m)
		return err
	})
	return entry, err
}

func (p *fakeProducer) Pending() int64 { return p.pending.Load() }

func newFakeQueue(name string, q *fakeQueue) *queue {
	policy := redisPolicy(name, nil)
	return &queue{&fakeProducer{queue: q, policy: policy}, policy, func() bool { return true }}
}

func guarded(publish func(context.Context) error) (*fakeQueue, *voteHandler) {
	q := &fakeQueue{publish: publish}
	h := q.handler()
	h.queue = &balancer{queues: []*queue{newFakeQueue("redis", q)}}
	return q, h
}

func TestAVoterIsAnsweredWithinTheBudgetWhateverRedisDoes(t *testing.T) {
	for name, publish := range map[string]func(context.Context) error{
		"it hangs":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"it refuses": func(context.Context) error { return errors.New("connection refused") },
	} {
		synctest.Test(t, func(t *testing.T) {
			q, h := guarded(publish)
			for range 20 {
				start := time.Now()
				w := post(t.Context(), h)
				if took := time.Since(start); w.Code != http.StatusServiceUnavailable || took > budget {
					t.Errorf("%s: status %d after %v", name, w.Code, took)
				}
			}
			if len(q.messages) > 0 {
				t.Errorf("%s: published %+v", name, q.messages)
			}
		})
	}
}

func TestTheVoterDoesNotSeeATransientFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		q, h := guarded(func(context.Context) error {
			if tries++; tries < 3 {
				return errors.New("LOADING Redis is loading the dataset in memory")
			}
			return nil
		})
		w := post(t.Context(), h)
		if w.Code != http.StatusOK || len(q.messages) != 1 || q.messages[0].Vote.ID.String() != testKey {
			t.Errorf("status %d, published %+v", w.Code, q.messages)
		}
	})
}
