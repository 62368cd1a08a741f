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

// ErrNotQueued reports that a vote is neither in the stream nor among the dead letters.
var ErrNotQueued = errors.New("no such vote in the queue")

// ErrSearchLimit reports that a vote was not found in the part of the queue that was searched.
var ErrSearchLimit = errors.New("no such vote in the searched part of the queue")

// Location is where a vote is that is not stored.
type Location struct {
	Message Message // the zero Message if the entry can't be decoded
	EntryID string  // in the stream of votes, or in that of the dead letters
	Dead    bool    // it is a dead letter
	Reason  Reason  // of a dead letter
}

// A UUIDv7 holds the time at which it was made. Its vote enters the stream soon after that, by another clock.
const (
	beforeID = 5 * time.Second
	afterID  = time.Minute
)

// reach bounds the number of entries that a search reads, and the page size.
type reach struct{ page, around, newest, dead int }

var usualReach = reach{page: 1000, around: 10_000, newest: 10_000, dead: 1000}

// Find looks for a vote that is not stored. It reads a bounded number of entries, however long the queue is: 10,000
// around the time in a UUIDv7, the newest 10,000, and the newest 1,000 dead letters. It returns [ErrNotQueued] if it
// searched the whole queue, else [ErrSearchLimit]. It may miss a vote that leaves the queue meanwhile: that one is
// stored.
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
	up, down := q.rdb.XRangeN, q.rdb.XRevRangeN
	var scans []scan
	if made, ok := madeAt(id); ok {
		scans = []scan{ // up from the id's own time first: nearly every vote is there
			{up, Stream, entriesAt(made), entriesAt(made.Add(afterID)), r.around / 2},
			{down, Stream, entriesAt(made.Add(-time.Millisecond)), entriesAt(made.Add(-beforeID)), r.around / 2},
		}
	}
	// The dead letters come last, since a vote may be dead-lettered in the meantime.
	scans = append(scans, scan{down, Stream, "+", "-", r.newest}, scan{down, DeadStream, "+", "-", r.dead})
	complete := true
	for _, s := range scans {
		e, end, err := s.find(ctx, id, r.page)
		if e != nil || err != nil {
			return location(e, s.stream == DeadStream), err
		}
		if s.from == "+" {
			complete = complete && end
		}
	}
	if complete {
		return Location{}, ErrNotQueued
	}
	return Location{}, ErrSearchLimit
}

// madeAt returns the time in a UUIDv7, whose first 48 bits are milliseconds since 1970 (RFC 9562, section 5.7).
func madeAt(id uuid.UUID) (time.Time, bool) {
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms), id.Version() == 7
}

// entriesAt is the limit of a range that includes all entries numbered in that millisecond.
func entriesAt(t time.Time) string { return strconv.FormatInt(max(0, t.UnixMilli()), 10) }

func location(e *redis.XMessage, dead bool) Location {
	if e == nil {
		return Location{}
	}
	m, _ := decode(e.Values)
	l := Location{Message: m, EntryID: e.ID, Dead: dead}
	if dead {
		l.Reason = deadLetter(*e).Reason
	}
	return l
}

// scan reads at most n entries of a range with XRANGE or XREVRANGE.
type scan struct {
	read             func(ctx context.Context, stream, from, to string, n int64) *redis.XMessageSliceCmd
	stream, from, to string
	n                int
}

// find returns the vote's first entry, or nil and whether the range was read to its end.
func (s scan) find(ctx context.Context, id uuid.UUID, page int) (e *redis.XMessage, end bool, err error) {
	for s.n > 0 {
		count := min(s.n, page)
		entries, err := s.read(ctx, s.stream, s.from, s.to, int64(count)).Result()
		if err != nil {
			return nil, false, err
		}
		for i := range entries {
			text, _ := entries[i].Values[fieldID].(string)
			if found, err := uuid.Parse(text); err == nil && found == id {
				return &entries[i], true, nil
			}
		}
		if len(entries) < count {
			return nil, true, nil
		}
		s.from = "(" + entries[len(entries)-1].ID
		s.n -= count
	}
	return nil, false, nil
}
