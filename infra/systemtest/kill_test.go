package systemtest

import (
	"testing"
	"time"

	"petvote/infra/ledger"
	"petvote/infra/platform"
)

func TestAWorkerThatDiesAtTheWorstMomentLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, point := range []string{"after-read", "after-commit", "before-ack"} {
		r.step(point, func(r *rig) {
			doomed := r.describe(platform.Worker, "CRASH_AT="+point, "CRASH_AFTER=3")
			r.during(100, func() {
				r.must(r.Worker.Stop(r.t.Context()))
				for range 4 { // each takes over what its predecessor left, and dies too
					r.crash(doomed)
				}
				r.must(r.Worker.Start(r.t.Context()))
			})
			r.wantOnly(ledger.Accepted)
			r.audit()
		})
	}
	r.step("and never comes back", func(r *rig) {
		doomed := r.describe(platform.Worker, "CONSUMER_NAME=doomed", "CRASH_AT=after-read", "CRASH_AFTER=5")
		r.during(100, func() { r.crash(doomed) })
		r.audit()
	})
}

func TestNothingIsLostOrDoubledUnderKills(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.step("of the worker, Redis, PostgreSQL and result", func(r *rig) {
		r.during(200, func() {
			for i := range 20 {
				r.bounce(r.Worker, 50*time.Millisecond)
				switch i {
				case 3, 9, 15:
					r.bounce(r.Redis, 500*time.Millisecond)
				case 5, 11, 17:
					r.bounce(r.Postgres, 500*time.Millisecond)
				case 7, 13:
					r.bounce(r.Result, 100*time.Millisecond)
				}
				r.elapse(200 * time.Millisecond) // lets some votes through between two kills
			}
		})
		r.wantOnly(ledger.Accepted, ledger.Refused)
		r.audit()
	})
	r.step("of vote and result", func(r *rig) {
		r.during(200, func() {
			for range 3 {
				r.bounce(r.Result, 100*time.Millisecond)
				r.bounce(r.Vote, 100*time.Millisecond)
			}
		})
		r.wantOnly(ledger.Accepted, ledger.Refused, ledger.Unknown)
		r.audit()
	})
}
