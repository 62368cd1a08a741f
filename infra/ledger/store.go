package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// Store reads the records of Redis and PostgreSQL.
type Store interface {
	// Standings are the counts now.
	Standings(ctx context.Context) (Standings, error)
	// StoredSince are the stored votes that were cast since then.
	StoredSince(ctx context.Context, since time.Time) (map[uuid.UUID]ballot.Choice, error)
	// Queued is the number of entries in all queues.
	Queued(ctx context.Context) (int64, error)
	// Stored is the sum of the tally.
	Stored(ctx context.Context) (int64, error)
}

// Standings are counts that only grow, but for Waiting.
type Standings struct {
	Rows, Tally ballot.Counts // in PostgreSQL: the rows counted one by one, and the sums that it keeps
	Duplicates  int64
	Added, Dead int64 // in all queues: entries ever added, and dead letters ever added
	Waiting     int64 // in all queues: entries, with those in flight
}

// The queries behind a Store. Standings counts the rows one by one, and so relies on nothing that the services rely on.
const (
	StandingsSQL = `select v.*, t.*, d.n
from (select count(*) filter (where pet = 'dogs'), count(*) filter (where pet = 'cats'),
    count(*) filter (where pet = 'lizards') from public.votes) v,
  (select sum(votes) filter (where pet = 'dogs')::bigint, sum(votes) filter (where pet = 'cats')::bigint,
    sum(votes) filter (where pet = 'lizards')::bigint from public.tally) t,
  public.duplicate_count d`
	StoredSQL = `select sum(votes)::bigint from public.tally`
)

// Direct is a Store that asks the servers by clients of its own.
type Direct struct {
	Queues []*votestream.Queue
	DB     *pgxpool.Pool
}

// Standings asks PostgreSQL, then each queue.
func (d Direct) Standings(ctx context.Context) (s Standings, err error) {
	row := d.DB.QueryRow(ctx, StandingsSQL)
	if err := row.Scan(&s.Rows.Dogs, &s.Rows.Cats, &s.Rows.Lizards, &s.Tally.Dogs, &s.Tally.Cats, &s.Tally.Lizards,
		&s.Duplicates); err != nil {
		return Standings{}, fmt.Errorf("ask PostgreSQL: %w", err)
	}
	for _, queue := range d.Queues {
		stream, err := queue.Stats(ctx)
		if err != nil {
			return Standings{}, fmt.Errorf("ask Redis: %w", err)
		}
		s.Added += stream.Added
		s.Waiting += stream.Waiting + stream.InFlight
		s.Dead += stream.Dead
	}
	return s, nil
}

// StoredSince reads the rows.
func (d Direct) StoredSince(ctx context.Context, since time.Time) (map[uuid.UUID]ballot.Choice, error) {
	stored := make(map[uuid.UUID]ballot.Choice)
	rows, err := d.DB.Query(ctx, `select id, pet from public.votes where cast_at >= $1`, since)
	if err == nil {
		var id uuid.UUID
		var pet string
		_, err = pgx.ForEachRow(rows, []any{&id, &pet}, func() error { stored[id] = ballot.Choice(pet); return nil })
	}
	if err != nil {
		return nil, fmt.Errorf("read the votes: %w", err)
	}
	return stored, nil
}

// Queued asks each queue.
func (d Direct) Queued(ctx context.Context) (n int64, err error) {
	for _, queue := range d.Queues {
		stream, failed := queue.Stats(ctx)
		n += stream.Waiting + stream.InFlight
		err = errors.Join(err, failed)
	}
	return n, err
}

// Stored asks PostgreSQL.
func (d Direct) Stored(ctx context.Context) (n int64, err error) {
	err = d.DB.QueryRow(ctx, StoredSQL).Scan(&n)
	return n, err
}
