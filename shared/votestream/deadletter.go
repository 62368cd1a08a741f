package votestream

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// deadLetterScript moves one entry, unless it is gone: another worker may have handled it, or the reply to an earlier
// call was lost. XADD comes first, so that a Redis that is out of memory leaves the entry where it is.
var deadLetterScript = redis.NewScript(`
if #redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2]) > 0 then
  local letter = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
  redis.call('HSET', KEYS[4], #ARGV[3] == 36 and ARGV[3]:lower() or letter, letter)
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
return redis.call('XDEL', KEYS[1], ARGV[2])`)

// DeadLetter moves entries to the dead letters one by one, each atomically. It may be repeated: an entry becomes one
// dead letter, or none if it has left the stream in another way.
func (q *Queue) DeadLetter(ctx context.Context, failures []Failure) error {
	failedAt := time.Now().UTC().Format(time.RFC3339Nano)
	for _, f := range failures {
		fields := map[string]any{}
		maps.Copy(fields, f.Delivery.fields)
		fields[fieldReason], fields[fieldError], fields[fieldFailedAt] = string(f.Reason), f.Err.Error(), failedAt
		voteID, _ := fields[fieldID].(string)
		args := []any{Group, f.Delivery.EntryID, voteID}
		for name, value := range fields {
			args = append(args, name, value)
		}
		keys := []string{Stream, DeadStream, retriesKey, deadIndexKey}
		if err := deadLetterScript.Run(ctx, q.rdb, keys, args...).Err(); err != nil {
			return fmt.Errorf("move to dead letters: %w", explain(err))
		}
	}
	return nil
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

// removeScript removes a dead letter. If there is a KEYS[3], it first adds the original entry to that stream. It is
// atomic: the entry is always in exactly one of the streams, even if others replay it too or Redis is out of memory.
var removeScript = redis.NewScript(`
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return 0 end
local fields, kept, index = found[1][2], {}, ARGV[1]
for i = 1, #fields, 2 do
  if fields[i] == 'id' and #fields[i + 1] == 36 then index = fields[i + 1]:lower() end
  if fields[i] ~= 'reason' and fields[i] ~= 'error' and fields[i] ~= 'failed_at' then
    kept[#kept + 1] = fields[i]
    kept[#kept + 1] = fields[i + 1]
  end
end
if KEYS[3] and #kept > 0 then redis.call('XADD', KEYS[3], '*', unpack(kept)) end
redis.call('XDEL', KEYS[1], ARGV[1])
if redis.call('HGET', KEYS[2], index) == ARGV[1] then redis.call('HDEL', KEYS[2], index) end
return 1`)

func (q *Queue) remove(ctx context.Context, id string, to ...string) error {
	n, err := removeScript.Run(ctx, q.rdb, append([]string{DeadStream, deadIndexKey}, to...), id).Int()
	switch {
	case err != nil:
		return fmt.Errorf("remove dead letter: %w", explain(err))
	case n == 0:
		return ErrNoDeadLetter
	}
	return nil
}

// Replay moves a dead letter back to the stream of votes as a new entry. It may return [ErrNoDeadLetter].
func (q *Queue) Replay(ctx context.Context, id string) error { return q.remove(ctx, id, Stream) }

// Drop deletes a dead letter for good. It may return [ErrNoDeadLetter].
func (q *Queue) Drop(ctx context.Context, id string) error { return q.remove(ctx, id) }
