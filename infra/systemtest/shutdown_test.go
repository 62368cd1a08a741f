package systemtest

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"petvote/infra/ledger"
	"petvote/infra/voters"
	"petvote/shared/ballot"
)

// Voters behind something that heeds readiness, as a load balancer does, see nothing of a stop: every request they send
// is answered with success, and every answer holds.
func TestAStopUnderLoadFailsNoRequestAndLosesNoVote(t *testing.T) {
	t.Parallel()
	r := newRig(t, withEnv("SHUTDOWN_DELAY=5s"))
	cast := voters.NewClient(r.Vote.URL("/vote"), r.ledger.Began, 0)
	defer cast.Close()
	var ready atomic.Bool
	ready.Store(true)
	watching, stopWatching := context.WithCancel(t.Context())
	var all errgroup.Group
	all.Go(func() error {
		for watching.Err() == nil {
			ready.Store(r.Vote.Ready(watching) == nil)
			time.Sleep(50 * time.Millisecond) // a balancer's pace
		}
		return nil
	})
	for i := range 16 {
		all.Go(func() error {
			for ready.Load() {
				r.ledger.Add(cast.Cast(t.Context(), uuid.Must(uuid.NewV7()), ballot.Choices()[i%3]))
			}
			return nil
		})
	}
	r.elapse(time.Second) // of load
	r.must(errors.Join(r.Vote.Stop(t.Context()), r.Worker.Stop(t.Context())))
	stopWatching()
	r.must(all.Wait())
	r.wantOnly(ledger.Accepted)
	if err := errors.Join(r.Vote.Err(), r.Worker.Err()); err != nil {
		t.Errorf("vote or worker ended with %v", err)
	}
	r.must(r.Worker.Start(t.Context()))
	r.audit()
}

// Whoever watches must not hold up a stop.
func TestOpenPagesDoNotHoldUpAStop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 20 {
		resp, err := http.Get(r.Result.URL("/events"))
		r.must(err)
		defer resp.Body.Close()
	}
	r.must(r.Result.Stop(t.Context())) // it is killed, which is an error, if it waits for the pages
	if err := r.Result.Err(); err != nil {
		t.Error(err)
	}
}
