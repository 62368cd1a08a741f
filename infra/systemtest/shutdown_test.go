package systemtest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"petvote/infra/ledger"
	"petvote/infra/wait"
	"petvote/shared/ballot"
)

// Voters behind a load balancer, which heeds readiness, see nothing of a stop: every request is answered with success,
// and every answer holds.
func TestAStopUnderLoadFailsNoRequestAndLosesNoVote(t *testing.T) {
	t.Parallel()
	r := newRig(t, withEnv("SHUTDOWN_DELAY=5s"))
	var ready atomic.Bool
	ready.Store(true)
	watching, stopWatching := context.WithCancel(t.Context())
	var all errgroup.Group
	all.Go(func() error {
		for wait.For(watching, 50*time.Millisecond) == nil { // a balancer's pace
			ready.Store(r.Vote.Ready(watching) == nil)
		}
		return nil
	})
	for i := range 16 {
		all.Go(func() error {
			for ready.Load() {
				r.cast(uuid.Must(uuid.NewV7()), ballot.Choices()[i%3])
			}
			return nil
		})
	}
	r.elapse(time.Second) // of load
	var worker errgroup.Group
	worker.Go(func() error { return r.Worker.Stop(t.Context()) })
	r.must(errors.Join(r.Vote.Stop(t.Context()), worker.Wait()))
	stopWatching()
	r.must(all.Wait())
	r.wantOnly(ledger.Accepted)
	if err := errors.Join(r.Vote.Err(), r.Worker.Err()); err != nil {
		t.Errorf("vote or worker ended with %v", err)
	}
	r.must(r.Worker.Start(t.Context()))
	r.audit()
}
