package votestream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Stats is what the stream says about itself, all read at one moment.
type Stats struct {
	Added    int64         // entries ever added; survives restarts of Redis
	Waiting  int64         // not yet handed to any worker
	InFlight int64         // handed out and not yet settled
	Dead     int64         // entries ever moved to the dead letters
	DeadNow  int64         // dead letters there now
	Oldest   time.Duration // age of the oldest entry that is not settled, by Redis's clock
}

// Stats reads the queue's figures. A stream that does not exist yet counts as empty.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	var (
		votes, dead *redis.XInfoStreamCmd
		pending     *redis.XPendingCmd
		now         *redis.TimeCmd
	)
	// The commands' own errors are looked at one by one: before the first vote some of them have no key to look at.
	_, err := q.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		votes, dead = p.XInfoStream(ctx, Stream), p.XInfoStream(ctx, DeadStream)
		pending, now = p.XPending(ctx, Stream, Group), p.Time(ctx)
		return nil
	})
	for _, cmd := range []redis.Cmder{votes, dead, pending, now} {
		if err := cmd.Err(); err != nil && !missing(err) {
			return Stats{}, fmt.Errorf("read queue figures: %w", explain(err))
		}
	}
	if now.Err() != nil {
		return Stats{}, fmt.Errorf("read queue figures: %w", errors.Join(err, now.Err()))
	}
	var s Stats
	if p := pending.Val(); p != nil {
		s.InFlight = p.Count
	}
	if v := votes.Val(); v != nil {
		s.Added = v.EntriesAdded
		s.Waiting = max(0, v.Length-s.InFlight)
		if v.FirstEntry.ID != "" {
			s.Oldest = max(0, now.Val().Sub(entryTime(v.FirstEntry.ID)))
		}
	}
	if d := dead.Val(); d != nil {
		s.Dead, s.DeadNow = d.EntriesAdded, d.Length
	}
	return s, nil
}

// missing says that Redis looked for something that is not there. (HasErrorPrefix looks behind the code "ERR".)
func missing(err error) bool {
	return redis.HasErrorPrefix(err, "no such key") || redis.HasErrorPrefix(err, "NOGROUP")
}

// entryTime is the time at which Redis numbered an entry, the zero time for what is no entry's ID.
func entryTime(id string) time.Time {
	ms, _, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n)
}

// forgetAfter is how long a consumer without pending entries stays in the group's books.
const forgetAfter = time.Hour

// forgetScript removes consumers that have nothing pending and were not heard of for long, so that workers that come
// and go leave nothing behind. Looking and removing are one script: removing a consumer drops what it has pending.
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
