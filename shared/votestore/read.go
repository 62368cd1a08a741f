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

// Tally returns the votes counted for each choice. Its cost does not depend on how many there are.
func (s *Store) Tally(ctx context.Context) (ballot.Counts, error) {
	rows, err := s.pool.Query(ctx, `select pet, votes from tally`)
	if err != nil {
		return ballot.Counts{}, fmt.Errorf("read tally: %w", err)
	}
	var (
		counts ballot.Counts
		pet    string
		n      int64
	)
	if _, err := pgx.ForEachRow(rows, []any{&pet, &n}, func() error { counts.Add(ballot.Choice(pet), n); return nil }); err != nil {
		return ballot.Counts{}, fmt.Errorf("read tally: %w", err)
	}
	return counts, nil
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
	Vote     ballot.Vote
	StoredAt time.Time // UTC
	TraceID  string    // "" if it was not traced
}

// Receipt returns what is stored under an id, or [ErrNoVote].
func (s *Store) Receipt(ctx context.Context, id uuid.UUID) (Receipt, error) {
	r := Receipt{Vote: ballot.Vote{ID: id}}
	var pet string
	err := s.pool.QueryRow(ctx, `select pet, cast_at, stored_at, coalesce(trace_id, '') from votes where id = $1`, id).
		Scan(&pet, &r.Vote.CastAt, &r.StoredAt, &r.TraceID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Receipt{}, ErrNoVote
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("read receipt: %w", err)
	}
	r.Vote.Pet, r.Vote.CastAt, r.StoredAt = ballot.Choice(pet), r.Vote.CastAt.UTC(), r.StoredAt.UTC()
	return r, nil
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
