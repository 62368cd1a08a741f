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
func measureStore(ctx context.Context, t *target) (figures []figure, err error) {
	if err := t.Worker.Stop(ctx); err != nil {
		return nil, err
	}
	votes := choose(t.bench, 500_000, 100_000)
	var ours, copies, queueBytes, rowBytes, cpu []float64
	for range choose(t.bench, 3, 1) {
		if err := t.fill(ctx, votes); err != nil {
			return nil, err
		}
		size, err := t.RDB.MemoryUsage(ctx, "votes", 0).Result()
		if err != nil {
			return nil, err
		}
		queueBytes = append(queueBytes, float64(size)/float64(votes))
		before := cpuTime(t.Postgres.PID(), t.Redis.PID())
		rate, err := t.storeBacklog(ctx, votes)
		if err != nil {
			return nil, err
		}
		spent := cpuTime(t.Postgres.PID(), t.Redis.PID(), t.Worker.PID()) - before
		cpu, ours = append(cpu, float64(spent.Microseconds())/float64(votes)), append(ours, rate)
		if err := t.Worker.Stop(ctx); err != nil {
			return nil, err
		}
		if err := t.DB.QueryRow(ctx, `select pg_total_relation_size('votes')`).Scan(&size); err != nil {
			return nil, err
		}
		rowBytes = append(rowBytes, float64(size)/float64(votes))
		if rate, err = t.copyBack(ctx, votes); err != nil {
			return nil, err
		}
		copies = append(copies, rate)
		if err := t.empty(ctx); err != nil {
			return nil, err
		}
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
	), nil
}

// copyBack copies the stored rows out, empties the table and times the COPY back into it.
func (t *target) copyBack(ctx context.Context, votes int) (perSecond float64, err error) {
	conn, err := t.DB.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	var rows bytes.Buffer
	pg := conn.Conn().PgConn()
	if _, err := pg.CopyTo(ctx, &rows, `copy (select * from votes order by id) to stdout (format binary)`); err != nil {
		return 0, err
	}
	if err := t.empty(ctx); err != nil {
		return 0, err
	}
	start := time.Now()
	tag, err := pg.CopyFrom(ctx, &rows, `copy votes from stdin (format binary)`)
	took := time.Since(start)
	if err == nil && tag.RowsAffected() != int64(votes) {
		err = errors.New("COPY did not copy every vote")
	}
	return float64(votes) / took.Seconds(), err
}

// fill adds votes to the stream as the vote service does, one trace in a hundred sampled.
func (t *target) fill(ctx context.Context, votes int) error {
	const batch = 1000
	pets := ballot.Choices()
	for done := 0; done < votes; done += batch {
		pipe := t.RDB.Pipeline()
		for i := done; i < min(done+batch, votes); i++ {
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			sampled := 0
			if i%100 == 0 {
				sampled = 1
			}
			pipe.Do(ctx, "xadd", votestream.Stream, "*", "id", id.String(), "vote", string(pets[i%len(pets)]),
				"cast_at", time.Now().UTC().Format(time.RFC3339Nano),
				"traceparent", fmt.Sprintf("00-%032x-%016x-%02x", i+1, i+1, sampled), "tracestate", "")
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("fill the stream: %w", err)
		}
	}
	t.accepted += votes
	return nil
}

// empty removes all stored votes, as if none had been cast.
func (t *target) empty(ctx context.Context) error {
	t.accepted, t.unsure = 0, 0
	_, err := t.DB.Exec(ctx, `truncate votes, history, duplicates; update tally set votes = 0;
update duplicate_count set n = 0; checkpoint`)
	return err
}

// storeBacklog starts the worker, which must be stopped, and returns how many votes of the stream it stores in a
// second, from the moment when the first are acked.
func (t *target) storeBacklog(ctx context.Context, votes int) (perSecond float64, err error) {
	late := errors.New("the backlog is not stored after 2 minutes")
	watched, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, late)
	defer cancel()
	if err := t.Worker.Start(watched); err != nil {
		return 0, err
	}
	start, left := time.Time{}, int64(votes)
	for {
		n, err := t.RDB.XLen(watched, votestream.Stream).Result()
		if err != nil {
			return 0, err
		}
		now := time.Now()
		if start.IsZero() && n < int64(votes) {
			start, left = now, n
		}
		if n == 0 {
			if left == 0 {
				return 0, errors.New("the backlog is too small to measure")
			}
			return float64(left) / now.Sub(start).Seconds(), t.balanced(ctx)
		}
		if err := wait.For(watched, 2*time.Millisecond); err != nil {
			return 0, err
		}
	}
}
