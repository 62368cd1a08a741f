package systemtest

import (
	"net/http"
	"testing"
	"time"
)

// A Redis that stands still is what fills the service most surely.
func TestMoreVotesThanCanBeInFlightAreRefusedSoonAndTheOthersCounted(t *testing.T) {
	const most, votes = 8, 40
	r := newRig(t, func(s *setup) { s.env = []string{"MAX_IN_FLIGHT=8"} })
	r.must(r.redis.Pause())
	type outcome struct {
		status int
		retry  string
		err    error
	}
	answers := make(chan outcome, votes)
	for range votes {
		go func() {
			status, _, header, err := cast(t.Context(), r.vote.url("/vote"), "dogs", "")
			answers <- outcome{status, header.Get("Retry-After"), err}
		}()
	}
	late := time.After(10 * time.Second)
	for range votes - most {
		select {
		case a := <-answers:
			if a.err != nil || a.status != http.StatusServiceUnavailable || a.retry == "" {
				t.Errorf("a vote too many: %+v", a)
			}
		case <-late:
			t.Fatal("the votes that are too many go on waiting")
		}
	}
	r.must(r.redis.Resume())
	accepted := 0
	for range most { // accepted, or given up before Redis went on, which may store them nevertheless
		switch a := <-answers; {
		case a.err == nil && a.status == http.StatusOK:
			accepted++
		case a.err != nil || a.status != http.StatusServiceUnavailable || a.retry == "":
			t.Errorf("a vote in flight: %+v", a)
		}
	}
	r.drained(soon)
	if stored := len(r.stored()); stored < accepted || stored > most {
		t.Errorf("%d stored of %d accepted and %d in flight", stored, accepted, most)
	}
}
