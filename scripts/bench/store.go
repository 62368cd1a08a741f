package main

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// measureStore has one worker store a backlog, then has PostgreSQL copy the same rows into the same table.
func measureStore(ctx context.Context, t *target) (figures []figure, err error) {
	if err := t.Worker.Stop(ctx); err != nil {
		return nil, err
	}
	votes := choose(t.bench, 500_000, 100_000)
	var ours, copies, queueBytes, rowBytes, cpu []float64
	for range choose(t.bench, 3, 1) {
		if err := errors.Join(t.empty(ctx), t.fill(ctx, votes)); err != nil {
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
