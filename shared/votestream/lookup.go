package votestream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// Entry names an entry: its queue, and its ID in that queue's stream.
type Entry struct{ Queue, ID string }

// String returns "<queue>/<entry ID>".
func (e Entry) String() string { return e.Queue + "/" + e.ID }

// MarshalText is String, for logs in JSON.
func (e Entry) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// ErrMalformedEntry reports a text that is no [Entry].
var ErrMalformedEntry = errors.New("an entry must be a queue and an entry's ID, like 0/1767323045001-0")

// ParseEntry is the inverse of String. It accepts numbers only as Redis writes them, up to 64 bits.
func ParseEntry(text string) (Entry, error) {
	queue, id, _ := strings.Cut(text, "/")
	ms, sequence, _ := strings.Cut(id, "-")
	for _, part := range []string{queue, ms, sequence} {
		if n, err := strconv.ParseUint(part, 10, 64); err != nil || strconv.FormatUint(n, 10) != part {
			return Entry{}, ErrMalformedEntry
		}
	}
	return Entry{queue, id}, nil
}

// ErrNotQueued reports that a vote is neither in the stream nor among the dead letters.
var ErrNotQueued = errors.New("no such vote in the queue")

// ErrMaybeQueued reports that a vote is not where it was looked for, while the queue holds others.
var ErrMaybeQueued = errors.New("no such vote at this entry of the queue")

// Location is where a vote is that is not stored.
type Location struct {
	Message Message // the zero Message if the entry can't be decoded
	EntryID string  // in the stream of votes; "" for a dead letter
	Dead    bool    // it is a dead letter
	Reason  Reason  // of a dead letter
}

// lookupScript returns the fields of an entry and of a vote's dead letter, and how many entries and dead letters
// without an index could be the vote besides. It is a script so that no vote moves between its reads.
var lookupScript = redis.NewScript(`
local function fields(key, id)
  local found = id and id ~= '' and redis.call('XRANGE', key, id, id) or {}
  return found[1] and found[1][2] or {}
end
return {fields(KEYS[1], ARGV[1]), fields(KEYS[2], redis.call('HGET', KEYS[3], ARGV[2])),
  redis.call('XLEN', KEYS[1]) + math.max(0, redis.call('XLEN', KEYS[2]) - redis.call('HLEN', KEYS[3]))}`)

// Lookup finds a vote that is not stored at its entry or among the dead letters. Its cost does not depend on the length
// of the queue. Without the vote's entry (the zero Entry, that of another vote, or one replayed since) it can't tell a
// queued vote from an unknown one: it returns [ErrMaybeQueued], or [ErrNotQueued] if the queue is empty.
func (q *Queue) Lookup(ctx context.Context, e Entry, voteID uuid.UUID) (Location, error) {
	if e.Queue != q.rdb.queue {
		e.ID = ""
	}
	keys := []string{Stream, DeadStream, deadIndexKey}
	reply, err := lookupScript.RunRO(ctx, q.rdb, keys, e.ID, voteID.String()).Slice()
	if err != nil {
		return Location{}, fmt.Errorf("look up vote: %w", explain(err))
	}
	for i, l := range []Location{{EntryID: e.ID}, {Dead: true}} {
		fields := fieldMap(reply[i])
		text, _ := fields[fieldID].(string)
		if id, err := uuid.Parse(text); err != nil || id != voteID {
			continue
		}
		l.Message, _ = decode(fields)
		reason, _ := fields[fieldReason].(string)
		l.Reason = Reason(reason)
		return l, nil
	}
	if others, _ := reply[2].(int64); others > 0 {
		return Location{}, ErrMaybeQueued
	}
	return Location{}, ErrNotQueued
}
