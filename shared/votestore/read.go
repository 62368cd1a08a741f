package votestore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"petvote/shared/ballot"
)

// Tally is the votes counted for each choice.
type Tally struct {
	Counts   ballot.Counts
	Snapshot Snapshot // says exactly which votes are counted in it
}

// Tally reads the votes counted for each choice. Its cost does not depend on how many there are.
func (s *Store) Tally(ctx context.Context) (Tally, error) {
	rows, err := s.pool.Query(ctx, `select pet, votes, pg_current_snapshot()::text from tally`)
	if err != nil {
		return Tally{}, fmt.Errorf("read tally: %w", err)
	}
	var (
		t        Tally
		pet      string
		n        int64
		snapshot string
	)
	_, err = pgx.ForEachRow(rows, []any{&pet, &n, &snapshot}, func() error { t.Counts.Add(ballot.Choice(pet), n); return nil })
	if err != nil {
		return Tally{}, fmt.Errorf("read tally: %w", err)
	}
	if t.Snapshot, err = ParseSnapshot(snapshot); err != nil {
		return Tally{}, fmt.Errorf("read tally: %w", err)
	}
	return t, nil
}

// Minute is the votes cast in one minute.
type Minute struct {
	Start  time.Time // UTC
	Counts ballot.Counts
}

// History returns the minutes from the one that holds since, oldest first, without those in which nobody voted.
func (s *Store) History(ctx context.Context, since time.Time) ([]Minute, error) {
	rows, err := s.pool.Query(ctx, `select minute, pet, votes from history where minute >= $1 order by minute`, since.Truncate(time.Minute))
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	var (
		minutes []Minute
		start   time.Time
		pet     string
		n       int64
	)
	_, err = pgx.ForEachRow(rows, []any{&start, &pet, &n}, func() error {
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

// ErrNoVote says that no vote is stored under an id.
var ErrNoVote = errors.New("no such vote")

// Receipt is a vote as it is stored.
type Receipt struct {
	Vote        ballot.Vote
	QueuedAt    time.Time // UTC; when Redis numbered the entry that brought it, zero if that is not known
	StoredAt    time.Time // UTC; when the transaction that stored it began
	Transaction uint64    // that transaction's id; [Snapshot.Sees] tells which reads of the tally include the vote
	TraceID     string    // "" if it was not traced
}

// receiptStatement reads a row with the transaction that wrote it, of which the row has half the id.
const receiptStatement = `
select pet, cast_at, stored_at, coalesce(trace_id, ''), coalesce(entry_id, ''), xmin, pg_snapshot_xmax(pg_current_snapshot())::text::bigint
from votes where id = $1`

// Receipt returns what is stored under an id, or [ErrNoVote].
func (s *Store) Receipt(ctx context.Context, id uuid.UUID) (Receipt, error) {
	r := Receipt{Vote: ballot.Vote{ID: id}}
	var (
		pet, entryID string
		xmin         uint32
		xmax         uint64
	)
	err := s.pool.QueryRow(ctx, receiptStatement, id).Scan(&pet, &r.Vote.CastAt, &r.StoredAt, &r.TraceID, &entryID, &xmin, &xmax)
	if errors.Is(err, pgx.ErrNoRows) {
		return Receipt{}, ErrNoVote
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("read receipt: %w", err)
	}
	r.Vote.Pet, r.Vote.CastAt, r.StoredAt = ballot.Choice(pet), r.Vote.CastAt.UTC(), r.StoredAt.UTC()
	r.QueuedAt, r.Transaction = queuedAt(entryID), widen(xmin, xmax)
	return r, nil
}

// queuedAt is the time in the ID of a stream entry, "<milliseconds>-<sequence>"; the zero time for what is none.
func queuedAt(entryID string) time.Time {
	ms, _, _ := strings.Cut(entryID, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// Stats is what the store has counted since it was made.
type Stats struct {
	Stored     int64 // votes
	Duplicates int64 // entries that repeated one
}

// Stats reads the store's share of the books. Its cost does not depend on how many votes there are.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	var st Stats
	err := s.pool.QueryRow(ctx, `select (select sum(votes)::bigint from tally), (select n from duplicate_count)`).
		Scan(&st.Stored, &st.Duplicates)
	if err != nil {
		return Stats{}, fmt.Errorf("read store figures: %w", err)
	}
	return st, nil
}
