package main

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/resilience"
)

var errRedisDown = errors.New("connection refused")

// several returns a handler of several fake queues, each with what it does with a vote.
func several(does ...func(context.Context) error) (*voteHandler, *spread, []*fakeQueue) {
	s := new(spread)
	var fakes []*fakeQueue
	for _, do := range does {
		q := &fakeQueue{publish: do}
		fakes, s.queues = append(fakes, q), append(s.queues, newFakeQueue("redis", q))
	}
	h := fakes[0].handler()
	h.queue = s
	return h, s, fakes
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
			h, s, fakes := several(c.broken, takes)
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
			if b := s.queues[0].policy.Breaker(); b != resilience.Open {
				t.Errorf("%s: breaker %v", name, b)
			}
		})
	}
}

func TestVotesAreSpreadInTurns(t *testing.T) {
	h, _, fakes := several(takes, takes, takes)
	for range 30 {
		post(t.Context(), h)
	}
	for _, q := range fakes {
		if len(q.messages) != 10 {
			t.Errorf("%d votes", len(q.messages))
		}
	}
}

func TestVotesAreRefusedAtOnceWhenNoQueueTakesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := func(context.Context) error { return errRedisDown }
		h, s, _ := several(down, down)
		for s.queues[0].policy.Breaker() != resilience.Open || s.queues[1].policy.Breaker() != resilience.Open {
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
		h, s, fakes := several(func(context.Context) error {
			if tried++; down {
				return errRedisDown
			}
			return nil
		}, takes)
		s.queues[0].health = func() resilience.Health { return resilience.Health{Up: up} } // by the pings
		s.queues[1].health = func() resilience.Health { return resilience.Health{Up: true} }
		for range 10 {
			post(t.Context(), h)
		}
		if tried > 0 || len(fakes[1].messages) != 10 {
			t.Errorf("a queue that is down was tried %d times", tried)
		}
		up = true
		for s.queues[0].policy.Breaker() != resilience.Open {
			post(t.Context(), h)
		}
		up = false
		time.Sleep(time.Second)
		if b := s.queues[0].policy.Breaker(); b != resilience.HalfOpen {
			t.Fatalf("breaker %v", b)
		}
		down, up = false, true
		for range 10 {
			post(t.Context(), h)
		}
		if n := len(fakes[0].messages); n != 5 || s.queues[0].policy.Breaker() != resilience.Closed {
			t.Errorf("%d of 10 votes, breaker %v", n, s.queues[0].policy.Breaker())
		}
	})
}
