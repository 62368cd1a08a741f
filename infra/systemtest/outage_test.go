package systemtest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/shared/votestream"
)

func TestPostgresUnavailableForTenSeconds(t *testing.T) {
	t.Parallel()
	const outage = 10 * time.Second
	r := newRig(t)
	b := r.browser()
	r.during(100, func() { r.awaitAnswer(ledger.Accepted) })
	r.audit()
	before, err := r.tally()
	r.must(err)
	early := r.open(b, r.Result.URL("/"))
	until(early, readResultPage, func(v resultPage) bool { return live(v) && v.Counts == before.Votes })

	r.during(100, func() {
		r.must(r.Postgres.Kill())
		down := time.Now()
		var last tallyAnswer // votes that came just before the end are in it
		r.awaitTally(func(a tallyAnswer) bool { last = a; return a.Stale && a.Total >= before.Total })
		late := r.open(b, r.Result.URL("/"))
		for _, p := range []*tab{early, late} {
			until(p, readResultPage, func(v resultPage) bool { return stale(v) && v.Counts == last.Votes })
		}
		r.elapse(time.Until(down.Add(outage)))
		a, err := r.tally()
		if err != nil || a != last || time.Since(a.AsOf) < outage {
			t.Errorf("during the outage the tally is %+v, %v", a, err)
		}
		for s, want := range map[*platform.Service]int{
			r.Result: http.StatusOK,                 // it serves an old tally
			r.Worker: http.StatusServiceUnavailable, // it needs PostgreSQL
			r.Vote:   http.StatusOK,                 // it does not
		} {
			if err := r.wantStatus(s.OpsURL("/readyz"), want); err != nil {
				t.Errorf("readiness of %s: %v", s.Spec.Name, err)
			}
		}
		r.must(r.Postgres.Start(t.Context()))
		r.awaitTally(func(a tallyAnswer) bool { return !a.Stale && a.Total > last.Total })
		for _, p := range []*tab{early, late} {
			until(p, readResultPage, func(v resultPage) bool { return live(v) && v.Counts.Total() > last.Total })
			p.quiet()
		}
	})
	r.wantOnly(ledger.Accepted)
	r.audit()
}

func TestWithoutRedisVotesAreRefusedAndAcceptedAgainAfterwards(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, outage := range map[string]struct{ begin, end func() error }{
		"killed": {r.Redis.Kill, starts(r, r.Redis)},
		"hung":   {r.Redis.Pause, r.Redis.Resume},
	} {
		r.step(name, func(r *rig) {
			r.during(100, func() {
				r.must(outage.begin())
				r.eventually(func() error { return r.wantStatus(r.Vote.OpsURL("/readyz"), http.StatusServiceUnavailable) })
				r.awaitAnswer(ledger.Refused)
				if err := r.wantStatus(r.Vote.URL("/healthz"), http.StatusOK); err != nil {
					r.t.Errorf("liveness depends on Redis: %v", err)
				}
				r.must(outage.end())
				r.awaitAnswer(ledger.Accepted)
			})
			r.wantOnly(ledger.Accepted, ledger.Refused) // each vote got an answer in time
			r.audit()
		})
	}
}

func TestServicesReportWhatTheyLackAndRecover(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	unready := func(r *rig, all ...*platform.Service) {
		r.t.Helper()
		r.eventually(func() error {
			var errs []error
			for _, s := range all {
				errs = append(errs, r.wantStatus(s.OpsURL("/healthz"), http.StatusOK),
					r.wantStatus(s.OpsURL("/readyz"), http.StatusServiceUnavailable))
			}
			return errors.Join(errs...)
		})
	}
	// reports waits until the worker's readiness gives a reason.
	reports := func(r *rig, reason string) {
		r.t.Helper()
		r.eventually(func() error {
			if err := r.Worker.Ready(r.t.Context()); err == nil || !strings.Contains(err.Error(), reason) {
				return fmt.Errorf("the worker's readiness is %w, want %s", err, reason)
			}
			return nil
		})
	}
	r.step("a queue of an older system is left alone", func(r *rig) {
		ctx := r.t.Context()
		r.must(errors.Join(r.Vote.Kill(), r.Worker.Kill()))
		r.must(errors.Join(r.RDB.Del(ctx, votestream.Stream).Err(), r.RDB.RPush(ctx, votestream.Stream, "dogs").Err()))
		ready := r.start(r.Worker)
		reports(r, "does not hold a stream")
		r.must(r.RDB.Rename(ctx, votestream.Stream, "votes:old").Err()) // fails if it is gone
		ready()
		r.must(r.Vote.Start(ctx))
		r.during(50, func() { r.awaitAnswer(ledger.Accepted) })
		r.audit()
	})
	r.step("services start before their dependencies", func(r *rig) {
		all := []*platform.Service{r.Vote, r.Worker, r.Result}
		for _, s := range all {
			r.must(s.Kill())
		}
		r.must(errors.Join(r.Redis.Kill(), r.Postgres.Kill()))
		ready := r.start(all...)
		unready(r, all...)
		r.must(errors.Join(r.Redis.Start(r.t.Context()), r.Postgres.Start(r.t.Context())))
		ready()
		r.during(100, func() { r.awaitAnswer(ledger.Accepted) })
		r.audit()
	})
	// A database that answers but takes no writes must not look healthy.
	r.step("a worker that cannot write says why", func(r *rig) {
		r.sql(`create function full_disk() returns trigger language plpgsql as
			$$ begin raise exception 'no space left on device' using errcode = '53100'; end $$;
			create trigger full_disk before insert on votes execute function full_disk()`)
		r.during(50, func() {
			reports(r, "no space left on device")
			if !strings.Contains(r.Worker.Log(), "no space left on device") {
				r.t.Error("the worker's log does not say why nothing is stored")
			}
			r.sql(`drop trigger full_disk on votes`)
		})
		r.audit()
		r.must(r.Worker.Ready(r.t.Context()))
	})
	// Another program's table is in the way of the first migration.
	r.step("a worker that can never migrate ends and says why", func(r *rig) {
		r.sql(`create database taken`)
		taken, err := pgx.Connect(r.t.Context(), r.Postgres.DatabaseURL("taken"))
		r.must(err)
		_, err = taken.Exec(r.t.Context(), `create table votes (question text)`)
		r.must(errors.Join(err, taken.Close(r.t.Context())))
		var early *servers.EarlyExit
		err = r.describe(platform.Worker, "POSTGRES_DB=taken").Start(r.t.Context())
		if !errors.As(err, &early) || !strings.Contains(early.Output, "votes") {
			r.t.Errorf("it ends with %v", err)
		}
	})
	r.step("a stop does not wait for a database that hangs", func(r *rig) {
		r.must(r.Postgres.Pause())
		unready(r, r.Worker)
		// After 30 s they would be killed, which is an error.
		r.must(errors.Join(r.Worker.Stop(r.t.Context()), r.Result.Stop(r.t.Context())))
		r.must(r.Postgres.Resume())
		r.start(r.Worker, r.Result)()
	})
	r.step("a full Redis refuses votes and is drained", func(r *rig) {
		ctx := r.t.Context()
		r.must(r.Worker.Stop(ctx))
		// A backlog of more than a megabyte, of which half has no room any more.
		filler := strings.Repeat("x", 1<<10)
		const backlog = 1000
		r.backlog(backlog, "tracestate", filler)
		used, err := strconv.Atoi(r.RDB.InfoMap(ctx, "memory").Item("Memory", "used_memory"))
		r.must(err)
		r.must(r.RDB.ConfigSet(ctx, "maxmemory", strconv.Itoa(used-512<<10)).Err())
		unready(r, r.Vote)
		r.during(100, func() {
			r.awaitAnswer(ledger.Refused)
			r.must(r.Worker.Start(ctx))
			r.awaitAnswer(ledger.Accepted)
		})
		r.wantOnly(ledger.Accepted, ledger.Refused)
		r.auditBeside(backlog)
	})
}
