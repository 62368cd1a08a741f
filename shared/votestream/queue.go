package votestream

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Queue does everything with the stream but adding to it and reading it. It is safe for concurrent use.
type Queue struct{ rdb *redis.Client }

// NewQueue returns the queue in rdb.
func NewQueue(rdb *redis.Client) *Queue { return &Queue{rdb: rdb} }

// Ping fails if Redis does not answer or the stream's key holds something else.
func (q *Queue) Ping(ctx context.Context) error {
	return explain(q.rdb.XLen(ctx, Stream).Err())
}

// probeKey never exists: writing an empty string at its start is a write without effect.
const probeKey = "votes:probe"

// PingWrite fails if Redis would not take a vote: where [Queue.Ping] fails, and when Redis refuses writes because it is
// out of memory, read-only, or unable to save.
func (q *Queue) PingWrite(ctx context.Context) error {
	_, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.XLen(ctx, Stream)
		p.SetRange(ctx, probeKey, 0, "")
		return nil
	})
	return explain(err)
}

// EnsureGroup creates the stream and its group if they are missing. The group starts at the first entry, so that votes
// cast before the first worker ran are not skipped. An existing group needs no write, so EnsureGroup succeeds on a
// Redis that is out of memory.
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
		return fmt.Errorf("create consumer group: %w", explain(err))
	}
	return nil
}

// missing reports that a key or group does not exist. (HasErrorPrefix skips the code "ERR".)
func missing(err error) bool {
	return redis.HasErrorPrefix(err, "no such key") || redis.HasErrorPrefix(err, "NOGROUP")
}

// ackScript acknowledges and deletes, in chunks because Lua's unpack is limited. It is a script because a Redis that is
// out of memory refuses MULTI, and so could never be drained.
var ackScript = redis.NewScript(`
local retried = redis.call('EXISTS', KEYS[2]) == 1
for first = 2, #ARGV, 1000 do
  local last = math.min(first + 999, #ARGV)
  redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, first, last))
  redis.call('XDEL', KEYS[1], unpack(ARGV, first, last))
  if retried then redis.call('HDEL', KEYS[2], unpack(ARGV, first, last)) end
end
return #ARGV - 1`)

// Ack removes entries whose effect is durable from the stream, all or none. It may be repeated.
func (q *Queue) Ack(ctx context.Context, entryIDs []string) error {
	args := append(make([]any, 0, len(entryIDs)+1), Group)
	for _, id := range entryIDs {
		args = append(args, id)
	}
	if err := ackScript.Run(ctx, q.rdb, []string{Stream, retriesKey}, args...).Err(); err != nil {
		return fmt.Errorf("acknowledge: %w", explain(err))
	}
	return nil
}

// retriesKey is a hash of the number of isolated retries of each entry, from its first one until it is acknowledged or
// dead-lettered.
const retriesKey = "votes:tries"

// CountRetry notes that an entry is about to be retried in isolation and returns the number of its isolated retries,
// this one included. That number, not the deliveries, identifies an entry that kills its worker: innocent entries that
// were delivered together with it have as many deliveries.
func (q *Queue) CountRetry(ctx context.Context, entryID string) (int64, error) {
	n, err := q.rdb.HIncrBy(ctx, retriesKey, entryID, 1).Result()
	if err != nil {
		return 0, fmt.Errorf("count retry: %w", explain(err))
	}
	return n, nil
}
