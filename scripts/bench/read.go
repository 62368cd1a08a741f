package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"petvote/shared/votestore"
)

// manyVotes adds votes up to a number as if they had been cast over the last hours: rows, tally and history.
const manyVotes = `with fresh as (
  insert into votes (id, pet, cast_at)
  select lpad(to_hex(n), 32, '0')::uuid, (array['dogs', 'cats', 'lizards'])[1 + n % 3], now() - n % 36000 * interval '1 s'
  from generate_series($1::bigint + 1, $2::bigint) as n
  returning pet, cast_at
), counted as (
  update tally set votes = tally.votes + new.n from (select pet, count(*) as n from fresh group by pet) as new where tally.pet = new.pet
)
insert into history (minute, pet, votes) select date_trunc('minute', cast_at) as minute, pet, count(*) from fresh group by minute, pet
on conflict (minute, pet) do update set votes = history.votes + excluded.votes`

// measureRead times what the result service does to show the results, the read of the tally, and the page that it serves.
func measureRead(ctx context.Context, b *bench) (figures []figure, err error) {
	p, err := b.newPlatform(ctx, "", "0.01")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	store, err := votestore.Config{URL: votestore.DatabaseURL(p.postgres.URL())}.Open(ctx, 2, nil)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	// Each is timed in turns with one that reads nothing, since round trips are three times as slow when the cores sleep in between.
	reads := []struct {
		name        string
		read, empty func() error
		first       float64 // how many times as long as the empty one it took with the fewest votes
	}{
		{name: "reading the tally", read: func() error { _, err := store.Tally(ctx); return err },
			empty: func() error { return p.db.QueryRow(ctx, "select 1").Scan(new(int)) }},
		{name: "the results page", read: func() error { return page(ctx, p.result.url("/")) },
			empty: func() error { return page(ctx, p.result.url("/healthz")) }},
	}
	stored := 0
	for _, votes := range choose(b, []int{1000, 1_000_000, 10_000_000}, []int{1000, 100_000}) {
		if _, err := p.db.Exec(ctx, manyVotes, stored, votes); err != nil {
			return nil, err
		}
		if err := p.settle(ctx); err != nil {
			return nil, err
		}
		stored = votes
		for i := range reads {
			r := &reads[i]
			took, empty, err := typical(choose(b, 3000, 500), r.read, r.empty)
			if err != nil {
				return nil, err
			}
			f := figure{Name: r.name + " with " + number(float64(votes)) + " stored votes", Unit: "µs", Value: took}
			if r.first == 0 {
				r.first = took / empty
			} else {
				f = f.against("with 1,000, at the same time", r.first*empty).atMost(1.2)
			}
			figures = append(figures, f)
		}
	}
	return figures, nil
}

// settle waits until PostgreSQL is done with what it does about a load afterwards, so that no read pays for that.
func (p *platform) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("PostgreSQL still vacuums after a minute"))
	defer cancel()
	for _, work := range []string{"vacuum analyze", "checkpoint"} {
		if _, err := p.db.Exec(ctx, work); err != nil {
			return err
		}
	}
	unix.Sync()
	for {
		var busy int
		err := p.db.QueryRow(ctx, `select count(*) from pg_stat_activity where backend_type = 'autovacuum worker'`).Scan(&busy)
		if err != nil || busy == 0 {
			return err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// typical is the median time of many calls of two kinds in turn, in µs, after some to warm up.
func typical(n int, one, other func() error) (ofOne, ofOther float64, err error) {
	calls := []func() error{one, other}
	times := make([][]time.Duration, len(calls))
	for i := range n + n/4 {
		for k, call := range calls {
			start := time.Now()
			if err := call(); err != nil {
				return 0, 0, err
			}
			if i >= n/4 {
				times[k] = append(times[k], time.Since(start))
			}
		}
	}
	medians := make([]float64, len(calls))
	for k := range times {
		slices.Sort(times[k])
		medians[k] = float64(percentile(times[k], 0.5)) / float64(time.Microsecond)
	}
	return medians[0], medians[1], nil
}
