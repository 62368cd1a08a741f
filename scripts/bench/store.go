package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"petvote/infra/wait"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// measureStore has one worker store a backlog, then has PostgreSQL copy the same rows into the same table.
func measureStore(ctx context.Context, t *target) (figures []figure) {
	t.must(t.Worker.Stop(ctx))
	votes := choose(t.bench, 500_000, 100_000)
	var ours, copies, queueBytes, rowBytes, cpu []float64
	for range choose(t.bench, 3, 1) {
		t.fill(ctx, votes)
		size, err := t.RDB.MemoryUsage(ctx, "votes", 0).Result()
		t.must(err)
		queueBytes = append(queueBytes, float64(size)/float64(votes))
		before := cpuTime(t.Postgres.PID(), t.Redis.PID())
		rate := t.storeBacklog(ctx, votes)
		spent := cpuTime(t.Postgres.PID(), t.Redis.PID(), t.Worker.PID()) - before
		cpu, ours = append(cpu, float64(spent.Microseconds())/float64(votes)), append(ours, rate)
		t.must(t.Worker.Stop(ctx))
		t.must(t.DB.QueryRow(ctx, `select pg_total_relation_size('votes')`).Scan(&size))
		rowBytes = append(rowBytes, float64(size)/float64(votes))
		copies = append(copies, t.copyBack(ctx, votes))
		t.empty(ctx)
	}
	name := "votes stored per second from a backlog of " + number(float64(votes)) + ", one worker"
	stored := figure{Name: name, Unit: "/s", Value: median(ours)}
	figures = append(figures, stored.against("COPY", median(copies)).atLeast(0.25))
	if median(copies) >= 500_000 {
		stored.Name = "the same, where COPY reaches 500,000/s"
		figures = append(figures, stored.atLeast(80_000))
	}
	return append(figures,
		figure{Name: "CPU to store one vote: worker, Redis and PostgreSQL", Unit: "µs", Value: median(cpu)},
		figure{Name: "one waiting vote in Redis", Unit: "bytes", Value: median(queueBytes)},
		figure{Name: "one stored vote in PostgreSQL, with its index entry", Unit: "bytes", Value: median(rowBytes)},
	)
}

// copyBack copies the stored rows out, empties the table and times the COPY back into it.
func (t *target) copyBack(ctx context.Context, votes int) (perSecond float64) {
	conn, err := t.DB.Acquire(ctx)
	t.must(err)
	defer conn.Release()
	var rows bytes.Buffer
	pg := conn.Conn().PgConn()
	_, err = pg.CopyTo(ctx, &rows, `copy (select * from votes order by id) to stdout (format binary)`)
	t.must(err)
	t.empty(ctx)
	start := time.Now()
	tag, err := pg.CopyFrom(ctx, &rows, `copy votes from stdin (format binary)`)
	took := time.Since(start)
	if err == nil && tag.RowsAffected() != int64(votes) {
		err = errors.New("COPY did not copy every vote")
	}
	t.must(err)
	return float64(votes) / took.Seconds()
}

// fill adds votes to the stream as the vote service does, one trace in a hundred sampled.
func (t *target) fill(ctx context.Context, votes int) {
	const batch = 1000
	pets := ballot.Choices()
	for done := 0; done < votes; done += batch {
		pipe := t.RDB.Pipeline()
		for i := done; i < min(done+batch, votes); i++ {
			id, err := uuid.NewV7()
			t.must(err)
			sampled := 0
			if i%100 == 0 {
				sampled = 1
			}
			pipe.Do(ctx, "xadd", votestream.Stream, "*", "id", id.String(), "vote", string(pets[i%len(pets)]),
				"cast_at", time.Now().UTC().Format(time.RFC3339Nano),
				"traceparent", fmt.Sprintf("00-%032x-%016x-%02x", i+1, i+1, sampled), "tracestate", "")
		}
		_, err := pipe.Exec(ctx)
		t.must(err)
	}
	t.accepted += votes
}

// empty removes all stored votes, as if none had been cast.
func (t *target) empty(ctx context.Context) {
	t.accepted, t.unsure = 0, 0
	_, err := t.DB.Exec(ctx, `truncate votes, history, duplicates; update tally set votes = 0;
update duplicate_count set n = 0; checkpoint`)
	t.must(err)
}

// storeBacklog starts the worker, which must be stopped, and returns how many votes of the stream it stores in a
// second, from the moment when the first are acked.
func (t *target) storeBacklog(ctx context.Context, votes int) (perSecond float64) {
	late := errors.New("the backlog is not stored after 2 minutes")
	watched, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, late)
	defer cancel()
	t.must(t.Worker.Start(watched))
	start, left := time.Time{}, int64(votes)
	for {
		n, err := t.RDB.XLen(watched, votestream.Stream).Result()
		t.must(err)
		now := time.Now()
		if start.IsZero() && n < int64(votes) {
			start, left = now, n
		}
		if n == 0 {
			if left == 0 {
				t.must(errors.New("the backlog is too small to measure"))
			}
			t.balanced(ctx)
			return float64(left) / now.Sub(start).Seconds()
		}
		t.must(wait.For(watched, 2*time.Millisecond))
	}
}
