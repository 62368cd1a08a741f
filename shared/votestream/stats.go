package votestream

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Stats are the queue's figures, all of one moment.
type Stats struct {
	Added    int64         // entries ever added; survives restarts of Redis
	Waiting  int64         // not yet delivered
	InFlight int64         // delivered, not yet acknowledged
	Dead     int64         // entries ever dead-lettered
	DeadNow  int64         // current dead letters
	Oldest   time.Duration // age of the oldest unacknowledged entry, by Redis's clock
}

// statsScript is a script because a Redis that is out of memory refuses MULTI. A missing stream or group counts as
// empty.
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
	values, err := statsScript.Run(ctx, q.rdb, []string{Stream, DeadStream}, Group).Slice()
	if err != nil {
		return Stats{}, fmt.Errorf("read queue figures: %w", explain(err))
	}
	number := func(i int) int64 { n, _ := values[i].(int64); return n }
	length := number(1)
	s := Stats{Added: number(0), InFlight: number(2), Dead: number(3), DeadNow: number(4)}
	s.Waiting = max(0, length-s.InFlight)
	if first, _ := values[6].(string); first != "" {
		s.Oldest = max(0, time.UnixMilli(number(5)).Sub(EntryTime(first)))
	}
	return s, nil
}

// EntryTime returns the time (UTC) at which Redis numbered an entry, "<milliseconds>-<sequence>"; the zero time if id
// is no entry's ID.
func EntryTime(id string) time.Time {
	ms, _, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// forgetAfter is how long an idle consumer without pending entries remains in the group.
const forgetAfter = time.Hour

// forgetScript removes such consumers, so that workers that come and go leave nothing behind. It checks and removes in
// one script because removing a consumer drops its pending entries.
var forgetScript = redis.NewScript(`
local gone = 0
for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local info = {}
  for i = 1, #c, 2 do info[c[i]] = c[i + 1] end
  if info.pending == 0 and info.idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], info.name)
    gone = gone + 1
  end
end
return gone`)

func forgetConsumers(ctx context.Context, rdb *redis.Client) error {
	return forgetScript.Run(ctx, rdb, []string{Stream}, Group, forgetAfter.Milliseconds()).Err()
}
