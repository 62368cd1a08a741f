package main

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// measureStore has one worker store a backlog, and then PostgreSQL copy the very same rows into the very same table.
func measureStore(ctx context.Context, b *bench) (figures []figure, err error) {
	p, err := b.newPlatform(ctx, "", "0.01")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.worker.Stop(ctx); err != nil {
		return nil, err
	}
	votes := choose(b, 500_000, 100_000)
	var ours, copies, queueBytes, rowBytes, cpu []float64
	for range choose(b, 3, 1) {
		if err := errors.Join(p.empty(ctx), p.fill(ctx, votes)); err != nil {
			return nil, err
		}
		size, err := p.rdb.MemoryUsage(ctx, "votes", 0).Result()
		if err != nil {
			return nil, err
		}
		queueBytes = append(queueBytes, float64(size)/float64(votes))
		before := p.cpu(p.postgres.PID()) + p.cpu(p.redis.PID())
		rate, err := p.storeBacklog(ctx, votes)
		if err != nil {
			return nil, err
		}
		spent := p.cpu(p.postgres.PID()) + p.cpu(p.redis.PID()) - before + p.cpu(p.worker.PID())
		cpu = append(cpu, float64(spent.Microseconds())/float64(votes))
		ours = append(ours, rate)
		if err := p.worker.Stop(ctx); err != nil {
			return nil, err
		}
		if err := p.db.QueryRow(ctx, `select pg_total_relation_size('votes')`).Scan(&size); err != nil {
			return nil, err
		}
		rowBytes = append(rowBytes, float64(size)/float64(votes))
		rate, err = p.copyBack(ctx, votes)
		if err != nil {
			return nil, err
		}
		copies = append(copies, rate)
	}
	stored := figure{Name: "votes stored per second from a backlog of " + number(float64(votes)) + ", one worker", Unit: "/s", Value: median(ours)}
	figures = append(figures, stored.against("COPY", median(copies)).atLeast(0.25))
	if median(copies) >= 500_000 {
		stored.Name = "the same, where COPY reaches 500,000/s"
		figures = append(figures, stored.atLeast(80_000))
	}
	return append(figures,
		figure{Name: "CPU to store one vote: worker, Redis and PostgreSQL", Unit: "µs", Value: median(cpu)},
		figure{Name: "one vote in Redis while it waits", Unit: "bytes", Value: median(queueBytes)},
		figure{Name: "one vote in PostgreSQL, index included", Unit: "bytes", Value: median(rowBytes)},
	), nil
}

// copyBack takes the stored rows out, empties the table and times their COPY back into it.
func (p *platform) copyBack(ctx context.Context, votes int) (perSecond float64, err error) {
	conn, err := p.db.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	var rows bytes.Buffer
	pg := conn.Conn().PgConn()
	if _, err := pg.CopyTo(ctx, &rows, `copy (select * from votes order by id) to stdout (format binary)`); err != nil {
		return 0, err
	}
	if err := p.empty(ctx); err != nil {
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
