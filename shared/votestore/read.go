package votestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"petvote/shared/ballot"
)

// Tally is the number of votes for each choice.
type Tally struct {
	Counts   ballot.Counts
	Snapshot Snapshot // identifies the votes that it includes
}

// tallyStatement returns the snapshot also without any row of the tally, as after a truncate.
const tallyStatement = `
select coalesce(pet, ''), coalesce(votes, 0), pg_current_snapshot()::text
from (select) as one left join SCHEMA.tally on true`

// Tally reads the tally. Its cost does not depend on the number of votes.
func (s *Store) Tally(ctx context.Context) (Tally, error) {
	rows, _ := s.pool.Query(ctx, s.schema.in(tallyStatement)) // the rows hold the error
	var (
		t        Tally
		pet      string
		n        int64
		snapshot string
	)
	_, err := pgx.ForEachRow(rows, []any{&pet, &n, &snapshot}, func() error {
		t.Counts.Add(ballot.Choice(pet), n)
		return nil
	})
	if err != nil {
		return Tally{}, fmt.Errorf("read tally: %w", err)
	}
	if t.Snapshot, err = ParseSnapshot(snapshot); err != nil {
		return Tally{}, fmt.Errorf("read tally: %w", err)
	}
	return t, nil
}

// Minute holds the votes cast in one minute.
type Minute struct {
	Start  time.Time // UTC
	Counts ballot.Counts
}

const historyStatement = `select minute, pet, votes from SCHEMA.history where minute >= $1 order by minute`

// History returns the minutes from the one that contains since, oldest first, without those that have no votes.
func (s *Store) History(ctx context.Context, since time.Time) ([]Minute, error) {
	rows, _ := s.pool.Query(ctx, s.schema.in(historyStatement), since.Truncate(time.Minute)) // the rows hold the error
	var (
		minutes []Minute
		start   time.Time
		pet     string
		n       int64
	)
	_, err := pgx.ForEachRow(rows, []any{&start, &pet, &n}, func() error {
		if len(minutes) == 0 || !minutes[len(minutes)-1].Start.Equal(start) {
			minutes = append(minutes, Minute{Start: start.UTC()})
		}
		minutes[len(minutes)-1].Counts.Add(ballot.Choice(pet), n)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return minutes, nil
}

// ErrNoVote reports that no vote is stored under an id.
var ErrNoVote = errors.New("no such vote")

// Receipt is a stored vote.
type Receipt struct {
	Vote        ballot.Vote
	Source      []byte    // names the stream entry that brought it; nil if unknown
	StoredAt    time.Time // UTC; start of the transaction that stored it
	Transaction uint64    // its id; [Snapshot.Sees] tells whether a tally includes the vote
	TraceID     string    // 32 hex digits; "" if the vote's trace was not sampled
}

// receiptStatement reads a row with the half of its transaction's id that the row holds.
const receiptStatement = `
select pet::text, cast_at, stored_at, replace(coalesce(trace_id::text, ''), '-', ''), entry, xmin,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint
from SCHEMA.votes where id = $1`

// Receipt returns the vote stored under an id, or [ErrNoVote].
func (s *Store) Receipt(ctx context.Context, id uuid.UUID) (Receipt, error) {
	r := Receipt{Vote: ballot.Vote{ID: id}}
	var (
		pet  string
		xmin uint32
		xmax uint64
	)
	err := s.pool.QueryRow(ctx, s.schema.in(receiptStatement), id).
		Scan(&pet, &r.Vote.CastAt, &r.StoredAt, &r.TraceID, &r.Source, &xmin, &xmax)
	if errors.Is(err, pgx.ErrNoRows) {
		return Receipt{}, ErrNoVote
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("read receipt: %w", err)
	}
	r.Vote.Pet, r.Vote.CastAt, r.StoredAt = ballot.Choice(pet), r.Vote.CastAt.UTC(), r.StoredAt.UTC()
	r.Transaction = widen(xmin, xmax)
	return r, nil
}

// Stats are the store's totals.
type Stats struct {
	Stored     int64 // votes
	Duplicates int64 // entries that repeated a stored vote
}

const totalsStatement = `
select (select least(coalesce(sum(votes), 0), 9223372036854775807)::bigint from SCHEMA.tally),
  coalesce((select n from SCHEMA.duplicate_count), 0)`

// Stats reads the totals. Its cost does not depend on the number of votes.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	var st Stats
	err := s.pool.QueryRow(ctx, s.schema.in(totalsStatement)).Scan(&st.Stored, &st.Duplicates)
	if err != nil {
		return Stats{}, fmt.Errorf("read store totals: %w", err)
	}
	return st, nil
}
