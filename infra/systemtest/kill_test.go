package systemtest

import (
	"errors"
	"testing"
	"time"

	"petvote/infra/servers"
)

// crash starts a worker that is told to die, and waits until it has; it may do so before it was ready.
func (r *rig) crash(doomed *service) {
	r.t.Helper()
	if err := doomed.Start(r.t.Context()); err != nil {
		if _, early := errors.AsType[*servers.EarlyExit](err); !early {
			r.t.Fatal(err)
		}
	}
	select {
	case <-doomed.Done():
	case <-time.After(20 * time.Second):
		r.t.Fatal("the worker did not crash")
	}
}

func TestAWorkerThatDiesAtTheWorstMomentLosesAndDoublesNothing(t *testing.T) {
	for _, point := range []string{"after-read", "after-commit", "before-ack"} {
		t.Run(point, func(t *testing.T) {
			r := newRig(t)
			doomed := r.describe("worker", "CRASH_AT="+point, "CRASH_AFTER=3")
			l := r.during(300, func() {
				r.must(r.worker.Stop(t.Context()))
				for range 4 { // each one takes up what the one before it left, and dies in its turn
					r.crash(doomed)
				}
				r.must(r.worker.Start(t.Context()))
			})
			if len(l.failures) > 0 || len(l.unknown) > 0 {
				t.Errorf("voters noticed the worker's death: %d unknown, %v", len(l.unknown), l.failures)
			}
			r.audit(l)
		})
	}
}

func TestNothingIsLostOrDoubledUnderKills(t *testing.T) {
	r := newRig(t)
	l := r.during(500, func() {
		for i := range 20 {
			r.bounce(r.worker, 50*time.Millisecond)
			switch i {
			case 3, 9, 15:
				r.bounce(r.redis, 500*time.Millisecond)
			case 5, 11, 17:
				r.bounce(r.postgres, 500*time.Millisecond)
			}
			time.Sleep(200 * time.Millisecond) // let some votes through between two kills
		}
	})
	if len(l.failures) > 0 {
		t.Errorf("answers that no voter should see: %v", l.failures[:min(5, len(l.failures))])
	}
	if l.slowest > 2500*time.Millisecond {
		t.Errorf("the slowest answer took %v, the budget is 2 s", l.slowest)
	}
	r.audit(l)
}

func TestKilledVoteAndResultComeBackByThemselves(t *testing.T) {
	r := newRig(t)
	l := r.during(200, func() {
		for range 3 {
			r.bounce(r.result, 100*time.Millisecond)
			r.bounce(r.vote, 100*time.Millisecond)
		}
	})
	r.audit(l)
}

func TestEntriesOfAWorkerThatNeverComesBackAreTakenOver(t *testing.T) {
	r := newRig(t)
	doomed := r.describe("worker", "CONSUMER_NAME=doomed", "CRASH_AT=after-read", "CRASH_AFTER=5")
	l := r.during(300, func() {
		r.crash(doomed)
	})
	r.audit(l)
}
