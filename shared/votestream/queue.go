package votestream

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Queue is what one can do with the stream besides adding to it and reading it. It is safe for concurrent use.
type Queue struct{ rdb *redis.Client }

// NewQueue returns the queue in rdb.
func NewQueue(rdb *redis.Client) *Queue { return &Queue{rdb: rdb} }

// Ping asks whether Redis answers and holds nothing strange in the stream's place.
func (q *Queue) Ping(ctx context.Context) error {
	return explain(q.rdb.XLen(ctx, Stream).Err())
}

// probeKey is never made: writing nothing at its start is a write that changes nothing.
const probeKey = "votes:probe"

// PingWrite asks whether Redis would take a vote now. It fails where [Queue.Ping] does, and when Redis refuses writes:
// out of memory, read-only, or unable to save.
func (q *Queue) PingWrite(ctx context.Context) error {
	_, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.XLen(ctx, Stream)
		p.SetRange(ctx, probeKey, 0, "")
		return nil
	})
	return explain(err)
}

// EnsureGroup makes the stream and its group if they are missing. The group begins at the stream's first entry, so
// votes cast before any worker ever ran are not skipped. It looks first, so that it succeeds on a Redis that is out of
// memory and has the group.
func (q *Queue) EnsureGroup(ctx context.Context) error {
	groups, err := q.rdb.XInfoGroups(ctx, Stream).Result()
	if err != nil && !missing(err) {
		return fmt.Errorf("look for consumer group: %w", explain(err))
	}
	for _, g := range groups {
		if g.Name == Group {
			return nil
		}
	}
	err = q.rdb.XGroupCreateMkStream(ctx, Stream, Group, "0").Err()
	if err != nil && !redis.HasErrorPrefix(err, "BUSYGROUP") {
		return fmt.Errorf("make consumer group: %w", explain(err))
	}
	return nil
}

// ackScript acknowledges and deletes, in pieces because Lua takes a bounded number of arguments. It is a script and
// not a MULTI, because a Redis that is out of memory refuses MULTI and would so never be relieved.
var ackScript = redis.NewScript(`
local tried = redis.call('EXISTS', KEYS[2]) == 1
for first = 2, #ARGV, 1000 do
  local last = math.min(first + 999, #ARGV)
  redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, first, last))
  redis.call('XDEL', KEYS[1], unpack(ARGV, first, last))
  if tried then redis.call('HDEL', KEYS[2], unpack(ARGV, first, last)) end
end
return #ARGV - 1`)

// Settle takes entries whose effect is durable out of the stream, all or none. Settling twice is harmless.
func (q *Queue) Ack(ctx context.Context, entryIDs []string) error {
	args := append(make([]any, 0, len(entryIDs)+1), Group)
	for _, id := range entryIDs {
		args = append(args, id)
	}
	if err := ackScript.Run(ctx, q.rdb, []string{Stream, triesKey}, args...).Err(); err != nil {
		return fmt.Errorf("acknowledge: %w", explain(err))
	}
	return nil
}

// triesKey is a hash of how often entries were tried alone. An entry is in it from its first such try until it is
// settled or buried.
const triesKey = "votes:tries"

// CountRetry notes that an entry is about to be tried alone, and returns how often it has been, this time included. It is
// this number, not that of deliveries, which finds what kills its workers: an entry that was handed out together with
// the culprit again and again has done nothing wrong.
func (q *Queue) CountRetry(ctx context.Context, entryID string) (int64, error) {
	n, err := q.rdb.HIncrBy(ctx, triesKey, entryID, 1).Result()
	if err != nil {
		return 0, fmt.Errorf("count try: %w", explain(err))
	}
	return n, nil
}
