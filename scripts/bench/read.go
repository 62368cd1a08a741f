package main

import (
	"context"
	"errors"
	"slices"
	"time"

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
	reads := []struct {
		name string
		read func() error
	}{
		{"reading the tally", func() error { _, err := store.Tally(ctx); return err }},
		{"the results page", func() error { return page(ctx, p.result.url("/")) }},
	}
	first := make([]float64, len(reads))
	stored := 0
	for _, votes := range choose(b, []int{1000, 1_000_000, 10_000_000}, []int{1000, 100_000}) {
		if _, err := p.db.Exec(ctx, manyVotes, stored, votes); err != nil {
			return nil, err
		}
		for _, settle := range []string{"vacuum analyze", "checkpoint"} { // so that no read pays for the load
			if _, err := p.db.Exec(ctx, settle); err != nil {
				return nil, err
			}
		}
		stored = votes
		for i, r := range reads {
			took, err := typical(choose(b, 3000, 500), r.read)
			if err != nil {
				return nil, err
			}
			f := figure{Name: r.name + " with " + number(float64(votes)) + " stored votes", Unit: "µs", Value: took}
			if first[i] == 0 {
				first[i] = took
			} else {
				f = f.against("with 1,000", first[i]).atMost(1.2)
			}
			figures = append(figures, f)
		}
	}
	return figures, nil
}

// typical is the median time of many calls, in µs, after some to warm up.
func typical(n int, do func() error) (float64, error) {
	times := make([]time.Duration, 0, n)
	for i := range n + n/4 {
		start := time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		if i >= n/4 {
			times = append(times, time.Since(start))
		}
	}
	slices.Sort(times)
	return float64(percentile(times, 0.5)) / float64(time.Microsecond), nil
}
