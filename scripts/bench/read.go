package main

import (
	"context"
	"time"

	"petvote/infra/platform"
)

// manyVotes adds votes up to a number as if they had been cast over the last hours: rows, tally and history.
const manyVotes = `with fresh as (
  insert into votes (id, pet, cast_at)
  select lpad(to_hex(n), 32, '0')::uuid, (array['dogs', 'cats', 'lizards']::pet[])[1 + n % 3],
    now() - n % 36000 * interval '1 s'
  from generate_series($1::bigint + 1, $2::bigint) as n
  returning pet::text, cast_at
), counted as (
  update tally set votes = tally.votes + new.n
  from (select pet, count(*) as n from fresh group by pet) as new where tally.pet = new.pet
)
insert into history (minute, pet, votes)
select date_trunc('minute', cast_at) as minute, pet, count(*) from fresh group by minute, pet
on conflict (minute, pet) do update set votes = history.votes + excluded.votes`

// measureRead times the results page with few and with many stored votes. The page alternates with a request that reads
// nothing, since the machine may be slower the second time.
func measureRead(ctx context.Context, t *target) (figures []figure) {
	asking := func(path string) *workload {
		return &workload{run: func() (int, time.Duration) {
			requests, start := fullOrQuick(t.bench, 500, 100), time.Now()
			for range requests {
				t.must(platform.Probe(ctx, t.Result.URL(path)))
			}
			return requests, time.Since(start)
		}}
	}
	first := 0.0 // the ratio with few votes
	for _, votes := range []int{1000, fullOrQuick(t.bench, 1_000_000, 100_000)} {
		_, err := t.DB.Exec(ctx, manyVotes, t.accepted, votes)
		t.must(err)
		_, err = t.DB.Exec(ctx, "vacuum analyze")
		t.must(err)
		t.accepted = votes
		page, nothing := asking("/"), asking("/healthz")
		t.interleave(6, page, nothing)
		f := figure{name: "the results page with " + number(float64(votes)) + " stored votes", unit: "µs",
			value: 1e6 / page.rate()}
		if first == 0 {
			first = nothing.rate() / page.rate()
		} else {
			f = f.against("with 1,000, at the same time", first*1e6/nothing.rate()).ratioAtMost(1.2)
		}
		figures = append(figures, f)
	}
	return figures
}
