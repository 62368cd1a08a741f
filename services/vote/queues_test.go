package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/resilience"
)

var errRedisDown = errors.New("connection refused")

// newBalancer returns a handler of several fake queues, each with what it does with a vote.
func newBalancer(does ...func(context.Context) error) (*voteHandler, *balancer, []*fakeQueue) {
	b := new(balancer)
	var fakes []*fakeQueue
	for _, do := range does {
		q := &fakeQueue{publish: do}
		fakes, b.queues = append(fakes, q), append(b.queues, newFakeQueue("redis", q))
	}
	h := fakes[0].handler()
	h.queue = b
	return h, b, fakes
}

func takes(context.Context) error { return nil }

func TestAVoteThatOneQueueDoesNotTakeEntersByAnother(t *testing.T) {
	for name, c := range map[string]struct {
		broken func(context.Context) error
		within time.Duration
	}{
		"it refuses": {func(context.Context) error { return errRedisDown }, 0},
		"it hangs":   {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, budget / 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, b, fakes := newBalancer(c.broken, takes)
			for n := range 40 {
				start := time.Now()
				w := post(t.Context(), h)
				if took := time.Since(start); w.Code != http.StatusOK || took > c.within {
					t.Errorf("%s: status %d after %v", name, w.Code, took)
				}
				if len(fakes[1].messages) != n+1 {
					t.Fatalf("%s: %d votes in the other queue", name, len(fakes[1].messages))
				}
			}
			if state := b.queues[0].policy.Breaker(); state != resilience.Open {
				t.Errorf("%s: breaker %v", name, state)
			}
		})
	}
}

func TestVotesAreSpreadRoundRobin(t *testing.T) {
	h, _, fakes := newBalancer(takes, takes, takes)
	for range 30 {
		post(t.Context(), h)
	}
	for _, q := range fakes {
		if len(q.messages) != 10 {
			t.Errorf("%d votes", len(q.messages))
		}
	}
}

// A vote that a queue has not answered yet may wait there for a second. Until then the queue is last.
func TestAQueueWithWaitingVotesGetsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, tried := make(chan struct{}), 0
		h, b, fakes := newBalancer(func(context.Context) error { tried++; <-release; return nil }, takes)
		var voters sync.WaitGroup
		voters.Go(func() {
			post(t.Context(), h)
			post(t.Context(), h)
		})
		synctest.Wait()
		for range 100 {
			post(t.Context(), h)
		}
		if n := len(fakes[1].messages); tried != 1 || n < 100 || b.queues[0].Pending() != 1 {
			t.Errorf("%d votes tried the queue that hangs, %d are in the other", tried, n)
		}
		close(release)
		voters.Wait()
	})
}

func TestVotesAreRefusedAtOnceWhenNoQueueTakesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := func(context.Context) error { return errRedisDown }
		h, b, _ := newBalancer(down, down)
		for b.queues[0].policy.Breaker() != resilience.Open || b.queues[1].policy.Breaker() != resilience.Open {
			post(t.Context(), h)
		}
		start := time.Now()
		if w := post(t.Context(), h); w.Code != http.StatusServiceUnavailable || time.Since(start) > 0 {
			t.Errorf("status %d after %v", w.Code, time.Since(start))
		}
	})
}

// A breaker that only votes can close would else stay open, since they prefer the queues that are up.
func TestAQueueThatWorksAgainGetsVotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down, up, tried := true, false, 0
		h, b, fakes := newBalancer(func(context.Context) error {
			if tried++; down {
				return errRedisDown
			}
			return nil
		}, takes)
		b.queues[0].up = func() bool { return up } // by the pings
		for range 10 {
			post(t.Context(), h)
		}
		if tried > 0 || len(fakes[1].messages) != 10 {
			t.Errorf("a queue that is down was tried %d times", tried)
		}
		up = true
		for b.queues[0].policy.Breaker() != resilience.Open {
			post(t.Context(), h)
		}
		up = false
		time.Sleep(time.Second)
		if state := b.queues[0].policy.Breaker(); state != resilience.HalfOpen {
			t.Fatalf("breaker %v", state)
		}
		down, up = false, true
		for range 10 {
			post(t.Context(), h)
		}
		if n := len(fakes[0].messages); n != 5 || b.queues[0].policy.Breaker() != resilience.Closed {
			t.Errorf("%d of 10 votes, breaker %v", n, b.queues[0].policy.Breaker())
		}
	})
}
