package systemtest

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"petvote/shared/ballot"
)

// Voters behind something that heeds readiness, as a load balancer does, see nothing of a stop: every request they send
// is answered with success, and every answer holds.
func TestAStopUnderLoadFailsNoRequestAndLosesNoVote(t *testing.T) {
	r := newRig(t)
	l := newLedger()
	var ready atomic.Bool
	ready.Store(true)
	watching, stopWatching := context.WithCancel(t.Context())
	var voters errgroup.Group
	voters.Go(func() error {
		for watching.Err() == nil {
			ready.Store(wantStatus(r.vote.opsURL("/readyz"), http.StatusOK) == nil)
			time.Sleep(50 * time.Millisecond) // a balancer's pace
		}
		return nil
	})
	for i := range 32 {
		voters.Go(func() error {
			for ready.Load() {
				l.send(r.vote.url("/vote"), ballot.Choices()[i%3])
			}
			return nil
		})
	}
	time.Sleep(time.Second) // of load
	start := time.Now()
	r.must(errors.Join(r.vote.Stop(t.Context()), r.worker.Stop(t.Context())))
	took := time.Since(start)
	stopWatching()
	r.must(voters.Wait())
	if len(l.failures) > 0 || len(l.unknown) > 0 {
		t.Errorf("%d requests failed: %v", len(l.unknown), l.failures[:min(5, len(l.failures))])
	}
	t.Logf("vote and worker stopped in %v", took.Round(time.Millisecond))
	if err := r.vote.Err(); err != nil {
		t.Errorf("vote ended with %v", err)
	}
	if err := r.worker.Err(); err != nil {
		t.Errorf("worker ended with %v", err)
	}
	r.must(r.worker.Start(t.Context()))
	r.audit(l)
}

// Whoever watches must not hold up a stop.
func TestOpenPagesDoNotHoldUpAStop(t *testing.T) {
	r := newRig(t)
	for range 20 {
		resp, err := http.Get(r.result.url("/events"))
		r.must(err)
		defer resp.Body.Close()
	}
	start := time.Now()
	r.must(r.result.Stop(t.Context()))
	if took := time.Since(start); took > 3*time.Second || r.result.Err() != nil {
		t.Errorf("stopped after %v with %v", took, r.result.Err())
	}
}
