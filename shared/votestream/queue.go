package votestream

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Queue does everything with the stream but adding to it and reading it. It is safe for concurrent use.
type Queue struct {
	rdb *Client

	mu      sync.Mutex
	oldest  string    // the oldest entry, when Stats last looked
	waiting time.Time // it has been the oldest at least since then

	logUnknown sync.Once
}

// NewQueue returns the queue in rdb.
func NewQueue(rdb *Client) *Queue { return &Queue{rdb: rdb} }

// Name is the queue's place among the queues: "0", "1", …
func (q *Queue) Name() string { return q.rdb.queue }

// Ping fails if Redis would not let a worker do its job: if it does not answer or is read-only, or if the stream's key
// holds something else. It acknowledges an entry that can't exist. A Redis that is out of memory allows that.
func (q *Queue) Ping(ctx context.Context) error {
	return explain(q.rdb.XAck(ctx, Stream, Group, noEntry).Err())
}

// noEntry is an entry ID that Redis gives to no entry, and refuses to add.
const noEntry = "0-0"

// PingWrite fails if Redis would not take a vote: if it does not answer, is out of memory, read-only or unable to save,
// if the user may not add votes, or if the stream's key holds something else. It asks Redis to add an entry under an ID
// that no entry can have, which Redis refuses only after all of these checks but the last.
func (q *Queue) PingWrite(ctx context.Context) error {
	var add *redis.StringCmd
	var length *redis.IntCmd
	_, _ = q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // the commands hold the errors
		add = p.XAdd(ctx, &redis.XAddArgs{Stream: Stream, ID: noEntry, Values: []string{"probe", ""}})
		length = p.XLen(ctx, Stream)
		return nil
	})
	if err := add.Err(); !redis.HasErrorPrefix(err, "The ID specified in XADD must be greater than 0-0") {
		return explain(err)
	}
	if err := length.Err(); !redis.IsPermissionError(err) { // voting does not need the right to ask for the length
		return explain(err)
	}
	return nil
}

// EnsureGroup creates the stream and its group if they are missing. The group starts at the first entry, so votes
// cast before the first worker ran are counted. An existing group needs no write, so a full Redis does not refuse it.
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
	args := append([]string{Group}, entryIDs...)
	if err := ackScript.Run(ctx, q.rdb, []string{Stream, retriesKey}, args).Err(); err != nil {
		return fmt.Errorf("acknowledge: %w", explain(err))
	}
	return nil
}

// retriesKey is a hash that counts the isolated retries of each entry until the entry leaves the stream.
const retriesKey = "{votes}:tries"

// countRetryScript counts nothing for an entry that is gone: the count would never be removed.
var countRetryScript = redis.NewScript(`
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[2], ARGV[1], 1)`)

// CountRetry notes that an entry is about to be retried in isolation and returns the number of its isolated retries,
// this one included, or 0 if the entry has left the stream meanwhile. Only that number identifies an entry that kills
// its worker: innocent entries that were delivered with it have as many deliveries.
func (q *Queue) CountRetry(ctx context.Context, entryID string) (int64, error) {
	n, err := countRetryScript.Run(ctx, q.rdb, []string{Stream, retriesKey}, entryID).Int64()
	if err != nil {
		return 0, fmt.Errorf("count retry: %w", explain(err))
	}
	return n, nil
}

// ForgetRetries sets the count of an entry's isolated retries back to 0: the last one came back, so the entry does not
// kill its worker.
func (q *Queue) ForgetRetries(ctx context.Context, entryID string) error {
	if err := q.rdb.HDel(ctx, retriesKey, entryID).Err(); err != nil {
		return fmt.Errorf("forget retries: %w", explain(err))
	}
	return nil
}

// Stats are the queue's figures, all of one moment.
type Stats struct {
	Added    int64         // entries ever added; survives restarts of Redis
	Waiting  int64         // not yet delivered
	InFlight int64         // delivered, not yet acknowledged
	Dead     int64         // entries ever dead-lettered
	DeadNow  int64         // current dead letters
	Oldest   time.Duration // age of the oldest unacknowledged entry, never 0 while there is one
	Ahead    time.Duration // how far Redis's clock is ahead of this process's; negative if it is behind
}

// statsScript is a script because a Redis that is out of memory refuses MULTI. A missing group counts as empty.
var statsScript = redis.NewScript(`
local function stream(key)
  local found = {['entries-added'] = 0, length = 0}
  if redis.call('EXISTS', key) == 1 then
    local info = redis.call('XINFO', 'STREAM', key)
    for i = 1, #info, 2 do found[info[i]] = info[i + 1] end
  end
  return found
end
local votes, dead = stream(KEYS[1]), stream(KEYS[2])
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1])
local first, now = votes['first-entry'], redis.call('TIME')
return {votes['entries-added'], votes.length, pending.err and 0 or pending[1], dead['entries-added'], dead.length,
  now[1] * 1000 + math.floor(now[2] / 1000), first and first[1] or ''}`)

// Stats reads the queue's figures. A missing stream counts as empty.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	start := time.Now()
	values, err := statsScript.RunRO(ctx, q.rdb, []string{Stream, DeadStream}, Group).Slice()
	if err != nil {
		return Stats{}, fmt.Errorf("read queue figures: %w", explain(err))
	}
	now := time.Now()
	number := func(i int) int64 { n, _ := values[i].(int64); return n }
	length, clock := number(1), time.UnixMilli(number(5))
	s := Stats{Added: number(0), InFlight: number(2), Dead: number(3), DeadNow: number(4), Ahead: ahead(clock, start, now)}
	s.Waiting = max(0, length-s.InFlight)
	first, _ := values[6].(string)
	s.Oldest = q.age(first, clock, now)
	return s, nil
}

// age returns the age of the oldest entry, "" for none. Redis's clock may have been stepped back since it was added, so
// the age is at least the time since this process first saw the entry.
func (q *Queue) age(oldest string, clock, now time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if oldest != q.oldest {
		q.oldest, q.waiting = oldest, now
	}
	if oldest == "" {
		return 0
	}
	return max(clock.Sub(EntryTime(oldest)), now.Sub(q.waiting), time.Millisecond)
}

// ahead returns how far another host's clock is ahead of this one's, give or take half of the time that asking took.
func ahead(clock, start, end time.Time) time.Duration {
	return clock.Sub(start.Add(end.Sub(start) / 2))
}

// EntryTime returns the time (UTC) in an entry's ID, "<milliseconds>-<sequence>", or the zero time for any other id.
func EntryTime(id string) time.Time {
	ms, _, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}
