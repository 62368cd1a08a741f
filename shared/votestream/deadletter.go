package votestream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Reason says why an entry was dead-lettered.
type Reason string

// The reasons.
const (
	ReasonUndecodable Reason = "undecodable"         // not a vote
	ReasonInvalid     Reason = "invalid"             // not a valid vote
	ReasonRejected    Reason = "rejected"            // the database refused the vote's data
	ReasonDeliveries  Reason = "too_many_deliveries" // isolated retries never led to an acknowledgement
)

// Reasons lists them all.
func Reasons() []Reason {
	return []Reason{ReasonUndecodable, ReasonInvalid, ReasonRejected, ReasonDeliveries}
}

// The fields of a dead letter besides the entry's own.
const (
	fieldReason   = "reason"
	fieldError    = "error"
	fieldFailedAt = "failed_at" // RFC 3339 with nanoseconds, UTC
)

// Failure is an entry to dead-letter.
type Failure struct {
	Delivery Delivery
	Reason   Reason
	Err      error
}

// DeadLetter is an entry of the stream of dead letters.
type DeadLetter struct {
	ID       string            `json:"id"`
	Reason   Reason            `json:"reason"`
	Error    string            `json:"error"`
	FailedAt time.Time         `json:"failed_at"`
	Fields   map[string]string `json:"fields"` // as they were in the stream of votes
}

// deadIndexKey is a hash of the dead letters' IDs by their votes' ids, or by the dead letter's own where there is none.
const deadIndexKey = DeadStream + ":index"

// keptFields is how many fields of an entry its dead letter keeps besides those of a vote, since Lua passes on some
// 4,000 at most. Together they have up to maxEntry bytes, so that dead letters can be read. The field fields_dropped
// says how many are missing.
const keptFields = 1000

// deadLetterScript moves one entry, unless it is gone: another worker may have handled it, or the reply to an earlier
// call was lost. XADD comes first, so that a Redis that is out of memory leaves the entry where it is.
var deadLetterScript = redis.NewScript(`
local found = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
if found then
  local fields, letter, index = found[2], {}
  local room, bytes, dropped = tonumber(ARGV[3]), tonumber(ARGV[4]), 0
  local vote = {id = 1, vote = 1, cast_at = 1, traceparent = 1, tracestate = 1}
  for i = 1, #fields, 2 do
    local name = fields[i]
    local size = #name + #fields[i + 1]
    if (vote[name] or room > 0) and size <= bytes then
      bytes = bytes - size
      letter[#letter + 1], letter[#letter + 2] = name, fields[i + 1]
      if vote[name] then vote[name] = nil else room = room - 1 end
      if name == 'id' and #fields[i + 1] == 36 then index = fields[i + 1]:lower() end
    else
      dropped = dropped + 1
    end
  end
  if dropped > 0 then letter[#letter + 1], letter[#letter + 2] = 'fields_dropped', dropped end
  for i = 5, #ARGV do letter[#letter + 1] = ARGV[i] end
  local id = redis.call('XADD', KEYS[2], '*', unpack(letter))
  redis.call('HSET', KEYS[4], index or id, id)
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
return redis.call('XDEL', KEYS[1], ARGV[2])`)

// DeadLetter moves entries to the dead letters one by one, each atomically, whatever becomes of the others. It may be
// repeated: an entry becomes one dead letter, or none if it has left the stream in another way.
func (q *Queue) DeadLetter(ctx context.Context, failures []Failure) error {
	failedAt := time.Now().UTC().Format(time.RFC3339Nano)
	keys := []string{Stream, DeadStream, retriesKey, deadIndexKey}
	var errs []error
	for _, f := range failures {
		err := deadLetterScript.Run(ctx, q.rdb, keys, Group, f.Delivery.EntryID, keptFields, maxEntry,
			fieldReason, string(f.Reason), fieldError, f.Err.Error(), fieldFailedAt, failedAt).Err()
		if err != nil {
			errs = append(errs, fmt.Errorf("move %s to the dead letters: %w", f.Delivery.EntryID, explain(err)))
		}
	}
	return errors.Join(errs...)
}

// ListDeadLetters returns up to n dead letters, oldest first, starting after the given ID ("" for the first).
func (q *Queue) ListDeadLetters(ctx context.Context, after string, n int64) ([]DeadLetter, error) {
	start := "-"
	if after != "" {
		start = "(" + after
	}
	entries, err := q.rdb.XRangeN(ctx, DeadStream, start, "+", n).Result()
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	letters := make([]DeadLetter, len(entries))
	for i, e := range entries {
		letters[i] = deadLetter(e)
	}
	return letters, nil
}

func deadLetter(e redis.XMessage) DeadLetter {
	d := DeadLetter{ID: e.ID, Fields: map[string]string{}}
	for name, value := range e.Values {
		text, _ := value.(string)
		switch name {
		case fieldReason:
			d.Reason = Reason(text)
		case fieldError:
			d.Error = text
		case fieldFailedAt:
			d.FailedAt, _ = time.Parse(time.RFC3339Nano, text)
		default:
			d.Fields[name] = text
		}
	}
	return d
}

// ErrNoDeadLetter reports that there is no dead letter with that ID.
var ErrNoDeadLetter = errors.New("no such dead letter")

// ErrBadEntryID reports an ID that no entry can have.
var ErrBadEntryID = errors.New("not an entry's ID, like 1767323045001-0")

// removeScript removes a dead letter. If there is a KEYS[3], it first adds the original entry to that stream. It is
// atomic: the entry is always in exactly one of the streams, even if others replay it too or Redis is out of memory.
var removeScript = redis.NewScript(`
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return 0 end
local fields, kept, index = found[1][2], {}, ARGV[1]
local added = {reason = 1, error = 1, failed_at = 1, fields_dropped = 1}
for i = 1, #fields, 2 do
  if fields[i] == 'id' and #fields[i + 1] == 36 then index = fields[i + 1]:lower() end
  if not added[fields[i]] then
    kept[#kept + 1] = fields[i]
    kept[#kept + 1] = fields[i + 1]
  end
end
if KEYS[3] and #kept > 0 then redis.call('XADD', KEYS[3], '*', unpack(kept)) end
redis.call('XDEL', KEYS[1], ARGV[1])
if redis.call('HGET', KEYS[2], index) == ARGV[1] then redis.call('HDEL', KEYS[2], index) end
return 1`)

func (q *Queue) remove(ctx context.Context, id string, to ...string) error {
	if _, err := ParseEntry(q.rdb.queue + "/" + id); err != nil {
		return ErrBadEntryID
	}
	n, err := removeScript.Run(ctx, q.rdb, append([]string{DeadStream, deadIndexKey}, to...), id).Int()
	switch {
	case err != nil:
		return fmt.Errorf("remove dead letter: %w", explain(err))
	case n == 0:
		return ErrNoDeadLetter
	}
	return nil
}

// Replay moves a dead letter back to the stream of votes as a new entry. It may return [ErrNoDeadLetter] or
// [ErrBadEntryID].
func (q *Queue) Replay(ctx context.Context, id string) error { return q.remove(ctx, id, Stream) }

// Drop deletes a dead letter for good. It may return [ErrNoDeadLetter] or [ErrBadEntryID].
func (q *Queue) Drop(ctx context.Context, id string) error { return q.remove(ctx, id) }
