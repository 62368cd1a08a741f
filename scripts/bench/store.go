package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"

	"petvote/infra/wait"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// measureStore has the vote service begin a backlog and one worker store it; then PostgreSQL copies the same rows into
// the same table.
func measureStore(ctx context.Context, t *target) []figure {
	t.must(t.Worker.Stop(ctx))
	backlog := fullOrQuick(t.bench, 500_000, 50_000)
	var queued, stored []float64 // bytes a vote
	var rows bytes.Buffer
	accept := &workload{
		run: func() (int, time.Duration) { return t.saturate(ctx, t.Vote.Addr(), 64) },
		after: func() {
			t.fill(ctx, backlog)
			queued = append(queued, float64(t.sum(ctx, "memory", "usage", votestream.Stream, "samples", 0))/float64(t.accepted))
		},
	}
	store := &workload{
		processes: t.withRedis(t.Worker, t.Postgres),
		run:       func() (int, time.Duration) { return t.storeBacklog(ctx) },
		after: func() {
			t.balanced(ctx)
			t.must(t.Worker.Stop(ctx))
			var size int
			t.must(t.DB.QueryRow(ctx, `select pg_total_relation_size('votes')`).Scan(&size))
			stored = append(stored, float64(size)/float64(t.accepted))
			rows.Reset()
			t.copyRows(ctx, func(pg *pgconn.PgConn) (pgconn.CommandTag, error) {
				return pg.CopyTo(ctx, &rows, `copy (select * from votes order by id) to stdout (format binary)`)
			})
			t.empty(ctx)
		},
	}
	bare := &workload{
		processes: []process{self{}, t.Postgres},
		run: func() (int, time.Duration) {
			start := time.Now()
			copied := t.copyRows(ctx, func(pg *pgconn.PgConn) (pgconn.CommandTag, error) {
				return pg.CopyFrom(ctx, &rows, `copy votes from stdin (format binary)`)
			})
			return copied, time.Since(start)
		},
		after: func() { t.empty(ctx) },
	}
	t.interleave(fullOrQuick(t.bench, 4, 1), accept, store, bare)
	rate := figure{name: "votes stored per second from a backlog, one worker", unit: "/s", value: store.rate()}
	return []figure{
		figure{name: "CPU to store a vote, worker, Redis and PostgreSQL", unit: "µs", value: store.cpu()}.
			atMost(12.5).against("COPY", bare.cpu()),
		rate.against("accepted, 64 connections", accept.rate()).ratioAtLeast(5),
		rate.against("COPY", bare.rate()),
		{name: "a waiting vote in Redis", unit: "bytes", value: median(queued)},
		figure{name: "a stored vote in PostgreSQL, index included", unit: "bytes", value: median(stored)}.atMost(110),
	}
}

// copyRows returns the number of rows that a COPY copied.
func (t *target) copyRows(ctx context.Context, copy func(*pgconn.PgConn) (pgconn.CommandTag, error)) int {
	conn, err := t.DB.Acquire(ctx)
	t.must(err)
	defer conn.Release()
	tag, err := copy(conn.Conn().PgConn())
	t.must(err)
	return int(tag.RowsAffected())
}

// newEntry is the XADD of the n-th entry, as the vote service adds it with one trace in a hundred sampled.
func newEntry(stream string, n int) []any {
	sampled := 0
	if n%100 == 0 {
		sampled = 1
	}
	return []any{"xadd", stream, "*", "id", uuid.Must(uuid.NewV7()).String(),
		"vote", string(ballot.Choices()[n%len(ballot.Choices())]), "cast_at", time.Now().UTC().Format(time.RFC3339Nano),
		"traceparent", fmt.Sprintf("00-%032x-%016x-%02x", n+1, n+1, sampled), "tracestate", ""}
}

// add adds entries while there are more, in pipelines to each Redis in turn, and returns their number.
func (t *target) add(ctx context.Context, batch int, entry func(n int) []any, more func(added int) bool) (added int) {
	for ; more(added); added += batch {
		_, err := t.RDBs[added/batch%len(t.RDBs)].Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i := range batch {
				pipe.Do(ctx, entry(added+i)...)
			}
			return nil
		})
		t.must(err)
	}
	return added
}

// fill adds votes to the queues until there are so many, or a few more.
func (t *target) fill(ctx context.Context, votes int) {
	entry := func(n int) []any { return newEntry(votestream.Stream, n) }
	t.accepted += t.add(ctx, 1000, entry, func(added int) bool { return t.accepted+added < votes })
}

// sum adds up what all Redis answer to a command.
func (t *target) sum(ctx context.Context, command ...any) (sum int) {
	for _, rdb := range t.RDBs {
		n, err := rdb.Do(ctx, command...).Int()
		t.must(err)
		sum += n
	}
	return sum
}

// empty removes all stored votes, as if none had been cast.
func (t *target) empty(ctx context.Context) {
	t.accepted = 0
	_, err := t.DB.Exec(ctx, `truncate votes, history, duplicates; update tally set votes = 0;
update duplicate_count set n = 0; checkpoint`)
	t.must(err)
}

// storeBacklog starts the worker, which must be stopped, and returns when it has stored the backlog. The time is
// extrapolated from all votes but those acked first: the worker's start does not count.
func (t *target) storeBacklog(ctx context.Context) (votes int, took time.Duration) {
	votes = t.accepted
	late := errors.New("the backlog is not stored after 2 minutes")
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, late)
	defer cancel()
	t.must(t.Worker.Start(ctx))
	var first time.Time
	for left := 0; ; {
		n, now := t.sum(ctx, "xlen", votestream.Stream), time.Now()
		if first.IsZero() && n < votes {
			first, left = now, n
		}
		if n == 0 {
			if left == 0 {
				t.must(errors.New("the backlog is too small to measure"))
			}
			return votes, time.Duration(float64(now.Sub(first)) * float64(votes) / float64(left))
		}
		t.must(wait.For(ctx, 2*time.Millisecond))
	}
}
