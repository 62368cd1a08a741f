package votestream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// ErrNotQueued says that a vote is neither in the stream nor among the dead letters.
var ErrNotQueued = errors.New("no such vote in the queue")

// ErrSearchLimit says that a vote was not found, and that there is more in the queue than was looked through.
var ErrSearchLimit = errors.New("no such vote in the part of the queue that was looked through")

// Location is where a vote is that is not stored.
type Location struct {
	Message  Message   // the zero Message if the entry can't be decoded
	EntryID  string    // in the stream of votes, or in that of the dead letters
	QueuedAt time.Time // UTC; when Redis numbered the entry of a vote that waits, zero for one that was given up
	Dead     bool      // whether it is a dead letter and not an entry that waits or is in hand
	Reason   Reason    // why it was given up
	FailedAt time.Time // UTC; when
}

// A UUIDv7 tells when it was made. Its vote is put into the stream soon after, by a clock that may be another one.
const (
	beforeID = 5 * time.Second
	afterID  = time.Minute
)

// reach is how many entries a search reads at most, and in pages of how many.
type reach struct{ page, around, newest, dead int }

var usualReach = reach{page: 1000, around: 10_000, newest: 10_000, dead: 1000}

// Find looks for a vote that is not stored. What it reads is bounded, however long the queue is: up to 10,000 entries
// around the time that a UUIDv7 tells, up to 10,000 of the newest, and the newest 1,000 dead letters. A vote is found for
// certain if no more entries than that came after it. One that lies deeper in a longer queue may be missed; then, as for
// a vote that nobody cast while the queue is that long, the error is [ErrSearchLimit]. It is [ErrNotQueued] only if all there
// is was looked through. A vote that leaves the queue meanwhile may be missed in either way: it is stored.
func (q *Queue) Find(ctx context.Context, id uuid.UUID) (Location, error) {
	found, err := q.find(ctx, id, usualReach)
	switch {
	case errors.Is(err, ErrNotQueued), errors.Is(err, ErrSearchLimit):
		return Location{}, err
	case err != nil:
		return Location{}, fmt.Errorf("look for vote: %w", explain(err))
	}
	return found, nil
}

func (q *Queue) find(ctx context.Context, id uuid.UUID, r reach) (Location, error) {
	s := search{rdb: q.rdb, id: id, page: r.page}
	if made, ok := madeAt(id); ok {
		// On from the id's own time first: nearly every vote is there.
		e, _, err := s.up(ctx, Stream, entriesAt(made), entriesAt(made.Add(afterID)), r.around/2)
		if e != nil || err != nil {
			return waiting(e), err
		}
		e, _, err = s.down(ctx, Stream, entriesAt(made.Add(-time.Millisecond)), entriesAt(made.Add(-beforeID)), r.around/2)
		if e != nil || err != nil {
			return waiting(e), err
		}
	}
	e, wholeQueue, err := s.down(ctx, Stream, "+", "-", r.newest)
	if e != nil || err != nil {
		return waiting(e), err
	}
	// Last, since a vote may be given up in the meantime.
	e, allDead, err := s.down(ctx, DeadStream, "+", "-", r.dead)
	switch {
	case e != nil || err != nil:
		return givenUp(e), err
	case wholeQueue && allDead:
		return Location{}, ErrNotQueued
	}
	return Location{}, ErrSearchLimit
}

// madeAt is the time in a UUIDv7, whose first 48 bits are milliseconds since 1970 (RFC 9562, section 5.7).
func madeAt(id uuid.UUID) (time.Time, bool) {
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms), id.Version() == 7
}

// entriesAt stands for the entries numbered in one millisecond: as the start of a range for the first of them, as its end
// for the last.
func entriesAt(t time.Time) string { return strconv.FormatInt(max(0, t.UnixMilli()), 10) }

func waiting(e *redis.XMessage) Location {
	if e == nil {
		return Location{}
	}
	m, _ := decode(e.Values)
	return Location{Message: m, EntryID: e.ID, QueuedAt: entryTime(e.ID).UTC()}
}

func givenUp(e *redis.XMessage) Location {
	if e == nil {
		return Location{}
	}
	m, _ := decode(e.Values)
	d := deadLetter(*e)
	return Location{Message: m, EntryID: e.ID, Dead: true, Reason: d.Reason, FailedAt: d.FailedAt.UTC()}
}

// search looks through entries page by page for those of one vote.
type search struct {
	rdb  *redis.Client
	id   uuid.UUID
	page int
}

// up reads at most n entries from one ID on to another, oldest first. It returns the first one of the vote, or nil and
// whether it knows that there were no others.
func (s *search) up(ctx context.Context, stream, from, to string, n int) (*redis.XMessage, bool, error) {
	return s.read(n, from, func(from string, count int) ([]redis.XMessage, error) {
		return s.rdb.XRangeN(ctx, stream, from, to, int64(count)).Result()
	})
}

// down is up from the newest to the oldest.
func (s *search) down(ctx context.Context, stream, from, to string, n int) (*redis.XMessage, bool, error) {
	return s.read(n, from, func(from string, count int) ([]redis.XMessage, error) {
		return s.rdb.XRevRangeN(ctx, stream, from, to, int64(count)).Result()
	})
}

func (s *search) read(n int, from string, next func(from string, count int) ([]redis.XMessage, error)) (*redis.XMessage, bool, error) {
	for n > 0 {
		count := min(n, s.page)
		entries, err := next(from, count)
		if err != nil {
			return nil, false, err
		}
		for i := range entries {
			text, _ := entries[i].Values[fieldID].(string)
			if found, err := uuid.Parse(text); err == nil && found == s.id {
				return &entries[i], true, nil
			}
		}
		if len(entries) < count {
			return nil, true, nil
		}
		from = "(" + entries[len(entries)-1].ID
		n -= count
	}
	return nil, false, nil
}
