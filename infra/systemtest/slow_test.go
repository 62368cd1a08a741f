package systemtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"petvote/infra/platform"
	"petvote/shared/ballot"
)

// slowRows makes PostgreSQL need some seconds for every vote that it stores.
func (r *rig) slowRows(seconds float64) {
	r.t.Helper()
	r.sql(fmt.Sprintf(`create or replace function slow() returns trigger language plpgsql as
			$$ begin perform pg_sleep(%f); return new; end $$;
		create or replace trigger slow before insert on votes for each row execute function slow()`, seconds))
}

// A database or a connection that is slow, but works, drains a backlog at its own speed, with the shipped settings.
func TestWhatIsSlowDrainsABacklog(t *testing.T) {
	t.Parallel()
	r := newRig(t, withEnv("CLAIM_IDLE=10s"), func(o *platform.Options) { o.Proxies = true })
	var others int64
	backlog := func(r *rig, n int, fields ...any) {
		r.backlog(n, fields...)
		others += int64(n)
	}
	restart := func(r *rig, meanwhile func()) {
		r.must(r.Worker.Stop(r.t.Context()))
		meanwhile()
		r.must(r.Worker.Start(r.t.Context()))
	}
	r.step("a worker that starts with a slow database", func(r *rig) {
		restart(r, func() { backlog(r, 3000); r.slowRows(0.003) })
		r.vote(ballot.Dogs)
		r.auditBeside(others)
	})
	r.step("a database that gets slow", func(r *rig) {
		r.slowRows(0)
		backlog(r, 10_000) // the worker's batches grow
		r.auditBeside(others)
		r.slowRows(0.02)
		r.must(r.Worker.Pause())
		backlog(r, 500)
		r.must(r.Worker.Resume())
		r.vote(ballot.Dogs)
		r.auditBeside(others)
	})
	r.step("a time-out of the server's own", func(r *rig) {
		r.slowRows(0.003)
		r.sql(`alter role petvote set statement_timeout = '500ms'`)
		restart(r, func() { backlog(r, 2000) })
		r.auditBeside(others)
		r.sql(`drop trigger slow on votes`)
		r.sql(`alter role petvote reset statement_timeout`)
	})
	r.step("a slow connection to Redis", func(r *rig) {
		slow := platform.Toxic{Name: "slow", Type: "slicer", Stream: "downstream",
			Attributes: map[string]int{"average_size": 512, "delay": 8000}} // 64 KB/s
		r.must(r.Proxies.Disturb(platform.Worker, platform.Redis, slow))
		restart(r, func() { backlog(r, 300, "tracestate", strings.Repeat("x", 1<<10)) }) // a first read takes over 2 s
		r.auditBeside(others)
		r.must(r.Proxies.Calm(r.t.Context(), platform.Worker, platform.Redis, slow))
	})
}

// Votes that can't be stored, but may be later, hold up no others, not even with a single consumer: one whose row is
// locked, and one that a trigger refuses.
func TestVotesThatCannotBeStoredHoldUpNoOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, withEnv("CLAIM_IDLE=10s", "CONCURRENCY=1"))
	r.sql(`create function refuse() returns trigger language plpgsql as
			$$ begin raise exception 'no %', new.pet; end $$;
		create trigger refuse before insert on votes for each row when (new.pet = 'lizards') execute function refuse()`)
	key, ctx := uuid.Must(uuid.NewV7()), t.Context()
	lock, err := r.DB.Begin(ctx)
	r.must(err)
	defer func() { _ = lock.Rollback(ctx) }() // else the platform waits for it at the end of a test that failed
	_, err = lock.Exec(ctx, `insert into votes (id, pet, cast_at) values ($1, 'dogs', now())`, key)
	r.must(err)
	r.must(r.Worker.Stop(ctx))
	votes := 0
	vote := func(n int) {
		for ; n > 0; n-- {
			r.vote(ballot.Cats)
			votes++
		}
	}
	vote(10)
	r.cast(key, ballot.Dogs)
	r.vote(ballot.Lizards)
	vote(10)
	r.must(r.Worker.Start(ctx))
	for range 3 {
		r.eventually(func() error {
			if n := len(r.stored()); n < votes {
				return fmt.Errorf("%d of %d votes are stored", n, votes)
			}
			return nil
		})
		vote(1)
	}
	if st, err := r.Queue.Stats(ctx); err != nil || st.Dead > 0 {
		t.Errorf("%+v, %v: what may pass is no reason to dead-letter a vote", st, err)
	}
	r.must(lock.Rollback(ctx))
	r.sql(`drop trigger refuse on votes`)
	r.audit()
}
