package systemtest

import (
	"net/http"
	"testing"
	"time"

	"petvote/shared/ballot"
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
	for range most {
		if a := <-answers; a.err != nil || a.status != http.StatusOK {
			t.Errorf("a vote in flight: %+v", a)
		}
	}
	r.shown(ballot.Counts{Dogs: most})
}
