package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"petvote/infra/platform"
	"petvote/infra/wait"
	"petvote/shared/votestore"
)

// manyVotes adds votes up to a number as if they had been cast over the last hours: rows, tally and history.
const manyVotes = `with fresh as (
  insert into votes (id, pet, cast_at)
  select lpad(to_hex(n), 32, '0')::uuid, (array['dogs', 'cats', 'lizards'])[1 + n % 3],
    now() - n % 36000 * interval '1 s'
  from generate_series($1::bigint + 1, $2::bigint) as n
  returning pet, cast_at
), counted as (
  update tally set votes = tally.votes + new.n
  from (select pet, count(*) as n from fresh group by pet) as new where tally.pet = new.pet
)
insert into history (minute, pet, votes)
select date_trunc('minute', cast_at) as minute, pet, count(*) from fresh group by minute, pet
on conflict (minute, pet) do update set votes = history.votes + excluded.votes`

// measureRead times the read of the tally and the results page with few and with many stored votes.
func measureRead(ctx context.Context, t *target) (figures []figure) {
	store, err := votestore.Config{URL: votestore.DatabaseURL(t.Postgres.URL())}.Open(ctx, 2, nil)
	t.must(err)
	defer store.Close()
	// Each read alternates with one that finds nothing: a round trip takes three times as long after the cores slept.
	reads := []struct {
		name        string
		read, empty func() error
		first       float64 // the ratio of the two with the fewest votes
	}{
		{name: "reading the tally", read: func() error { _, err := store.Tally(ctx); return err },
			empty: func() error { return t.DB.QueryRow(ctx, "select 1").Scan(new(int)) }},
		{name: "the results page", read: func() error { return platform.Probe(ctx, t.Result.URL("/")) },
			empty: func() error { return platform.Probe(ctx, t.Result.URL("/healthz")) }},
	}
	for _, votes := range choose(t.bench, []int{1000, 1_000_000, 10_000_000}, []int{1000, 100_000}) {
		_, err := t.DB.Exec(ctx, manyVotes, t.accepted, votes)
		t.must(err)
		t.vacuumed(ctx)
		t.accepted = votes
		for i := range reads {
			r := &reads[i]
			took, empty, err := inTurns(choose(t.bench, 3000, 500), r.read, r.empty)
			t.must(err)
			f := figure{Name: r.name + " with " + number(float64(votes)) + " stored votes", Unit: "µs", Value: took}
			if r.first == 0 {
				r.first = took / empty
			} else {
				f = f.against("with 1,000, at the same time", r.first*empty).atMost(1.2)
			}
			figures = append(figures, f)
		}
	}
	return figures
}

// vacuumed has PostgreSQL finish its work after a load, so that no read is slowed by it.
func (t *target) vacuumed(ctx context.Context) {
	for _, work := range []string{"vacuum analyze", "checkpoint"} {
		_, err := t.DB.Exec(ctx, work)
		t.must(err)
	}
	unix.Sync()
	t.must(wait.Until(ctx, time.Minute, func(ctx context.Context) error {
		var busy int
		err := t.DB.QueryRow(ctx,
			`select count(*) from pg_stat_activity where backend_type = 'autovacuum worker'`).Scan(&busy)
		if err == nil && busy > 0 {
			err = errors.New("PostgreSQL is still vacuuming")
		}
		return err
	}))
}

// inTurns returns the median times of two kinds of calls, made in turn n times after a warm-up, in µs.
func inTurns(n int, one, other func() error) (ofOne, ofOther float64, err error) {
	calls := []func() error{one, other}
	times := make([][]float64, len(calls))
	for i := range n + n/4 {
		for k, call := range calls {
			took, err := seconds(call)
			if err != nil {
				return 0, 0, err
			}
			if i >= n/4 {
				times[k] = append(times[k], took*1e6)
			}
		}
	}
	return median(times[0]), median(times[1]), nil
}
