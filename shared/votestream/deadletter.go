package votestream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/redis/go-redis/v9"
)

// Reason says why an entry was given up.
type Reason string

// The reasons.
const (
	ReasonUndecodable Reason = "undecodable"         // not a vote
	ReasonInvalid     Reason = "invalid"             // a vote for nothing one can vote for
	ReasonRejected    Reason = "rejected"            // the database refused this vote's data
	ReasonDeliveries  Reason = "too_many_deliveries" // it was handed out again and again and never settled
)

// Reasons lists them all.
func Reasons() []Reason {
	return []Reason{ReasonUndecodable, ReasonInvalid, ReasonRejected, ReasonDeliveries}
}

// The fields that a dead letter has besides the entry's own.
const (
	fieldReason   = "reason"
	fieldError    = "error"
	fieldFailedAt = "failed_at" // RFC 3339 with nanoseconds, UTC
)

// Failure is an entry to give up and why.
type Failure struct {
	Delivery Delivery
	Reason   Reason
	Err      error
}

// DeadLetter is an entry that was given up.
type DeadLetter struct {
	ID       string            `json:"id"` // in the stream of dead letters
	Reason   Reason            `json:"reason"`
	Error    string            `json:"error"`
	FailedAt time.Time         `json:"failed_at"`
	Fields   map[string]string `json:"fields"` // as they were in the stream of votes
}

// deadLetterScript moves one entry, unless it is gone: another worker may have dealt with it, or this is a repetition of a call
// whose answer was lost. Adding comes first, so that a Redis that is out of memory leaves the entry where it is.
var deadLetterScript = redis.NewScript(`
if #redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2]) > 0 then redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3)) end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
return redis.call('XDEL', KEYS[1], ARGV[2])`)

// Bury moves entries to the dead letters, one after the other, each wholly or not at all. It may be repeated: an entry
// becomes one dead letter, or none if it has left the stream otherwise.
func (q *Queue) DeadLetter(ctx context.Context, failures []Failure) error {
	failedAt := time.Now().UTC().Format(time.RFC3339Nano)
	for _, b := range failures {
		fields := map[string]any{}
		maps.Copy(fields, b.Delivery.fields)
		fields[fieldReason], fields[fieldError], fields[fieldFailedAt] = string(b.Reason), b.Err.Error(), failedAt
		args := []any{Group, b.Delivery.EntryID}
		for name, value := range fields {
			args = append(args, name, value)
		}
		if err := deadLetterScript.Run(ctx, q.rdb, []string{Stream, DeadStream, triesKey}, args...).Err(); err != nil {
			return fmt.Errorf("move to dead letters: %w", explain(err))
		}
	}
	return nil
}

// DeadLetters returns up to n dead letters, oldest first, from the one after the given ID ("" for the first).
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

// ErrNoDeadLetter says that there is no dead letter with that ID.
var ErrNoDeadLetter = errors.New("no such dead letter")

// replayScript copies a dead letter back, without what was added to it, and deletes it. It is one script, so that an
// entry is in one of the streams at every time, whoever else replays it and whenever Redis runs out of memory.
var replayScript = redis.NewScript(`
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return 0 end
local fields, kept = found[1][2], {}
for i = 1, #fields, 2 do
  if fields[i] ~= 'reason' and fields[i] ~= 'error' and fields[i] ~= 'failed_at' then
    kept[#kept + 1] = fields[i]
    kept[#kept + 1] = fields[i + 1]
  end
end
if #kept > 0 then redis.call('XADD', KEYS[2], '*', unpack(kept)) end
redis.call('XDEL', KEYS[1], ARGV[1])
return 1`)

// Replay puts a dead letter back into the stream of votes as a new entry. It returns [ErrNoDeadLetter] if there is none.
func (q *Queue) Replay(ctx context.Context, id string) error {
	n, err := replayScript.Run(ctx, q.rdb, []string{DeadStream, Stream}, id).Int()
	if err != nil {
		return fmt.Errorf("replay dead letter %s: %w", id, explain(err))
	}
	if n == 0 {
		return ErrNoDeadLetter
	}
	return nil
}

// Drop deletes a dead letter for good. It returns [ErrNoDeadLetter] if there is none.
func (q *Queue) Drop(ctx context.Context, id string) error {
	n, err := q.rdb.XDel(ctx, DeadStream, id).Result()
	if err != nil {
		return fmt.Errorf("drop dead letter %s: %w", id, err)
	}
	if n == 0 {
		return ErrNoDeadLetter
	}
	return nil
}
