package votestream

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// pendingWatch notices the entries that nobody touches. Redis alone can't tell: it measures idleness by its wall clock,
// and after a step back by an hour the entries of a dead consumer look fresh for that hour. So the watch remembers what
// it saw, and measures by the monotonic clock of this process too.
type pendingWatch struct {
	seen      map[string]sighting // by entry
	until     string              // the last entry that was pending at the previous look; later ones are too young
	untouched []string            // entries in seen, to be claimed
}

// sighting is a pending entry as it was seen.
type sighting struct {
	holder     string
	deliveries int64
	touched    time.Time // when, by Redis's clock; zero if that lies in the future, which Redis does not tell
	since      time.Time // when at the latest, by this process's clock
}

// sameTouch is by how much the computed times of one touch may differ.
const sameTouch = 100 * time.Millisecond

func (s sighting) sameAs(other sighting) bool {
	return s.holder == other.holder && s.deliveries == other.deliveries &&
		(s.touched.IsZero() || other.touched.IsZero() || s.touched.Sub(other.touched).Abs() <= sameTouch)
}

// looksPerClaim is how often a consumer looks at the pending entries while ClaimIdle passes. An entry is first seen
// after two looks at the latest, and claimed ClaimIdle and one look later.
const looksPerClaim = 4

// look updates the watch.
func (c *Consumer) look(ctx context.Context, now time.Time) error {
	w := pendingWatch{seen: map[string]sighting{}}
	all, err := c.rdb.XPending(ctx, Stream, Group).Result()
	if err != nil {
		return err
	}
	w.until = all.Higher
	if all.Count > 0 && c.pending.until != "" {
		err = c.eachPending(ctx, "", "-", c.pending.until, func(p redis.XPendingExt, clock time.Time) {
			s := sighting{holder: p.Consumer, deliveries: p.RetryCount, since: now.Add(-p.Idle)}
			if p.Idle > 0 {
				s.touched = clock.Add(-p.Idle)
			}
			if before, ok := c.pending.seen[p.ID]; ok && s.sameAs(before) {
				s.since = before.since
				if s.touched.IsZero() {
					s.touched = before.touched
				}
			}
			w.seen[p.ID] = s
			if now.Sub(s.since) >= c.options.ClaimIdle {
				w.untouched = append(w.untouched, p.ID)
			}
		})
		if err != nil {
			return err
		}
	}
	c.pending = w
	if len(w.untouched) > 0 {
		return nil
	}
	return forgetScript.Run(ctx, c.rdb, []string{Stream}, Group, forgetAfter.Milliseconds()).Err()
}

// pendingPage is the page size for looking up pending entries.
const pendingPage = 1000

// eachPending visits the pending entries of a consumer, or of all for "", in a range of the stream, with the time of
// Redis's clock.
func (c *Consumer) eachPending(
	ctx context.Context, consumer, from, to string, visit func(p redis.XPendingExt, clock time.Time),
) error {
	for {
		var clock *redis.TimeCmd
		var pending *redis.XPendingExtCmd
		_, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			clock = p.Time(ctx)
			pending = p.XPendingExt(ctx, &redis.XPendingExtArgs{
				Stream: Stream, Group: Group, Consumer: consumer, Start: from, End: to, Count: pendingPage,
			})
			return nil
		})
		if err != nil {
			return err
		}
		page := pending.Val()
		for _, p := range page {
			visit(p, clock.Val())
		}
		if len(page) < pendingPage {
			return nil
		}
		from = "(" + page[len(page)-1].ID
	}
}

// claimScript claims the entries that are still as they were seen: of several consumers that saw the same, one gets
// them.
var claimScript = redis.NewScript(`
local claimed = {}
for i = 3, #ARGV, 3 do
  local now = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)[1]
  if now and now[2] == ARGV[i + 1] and now[4] == tonumber(ARGV[i + 2]) then
    claimed[#claimed + 1] = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i])[1]
  end
end
return claimed`)

// claim takes over untouched entries, n at most, and returns those that were still as they had been seen.
func (c *Consumer) claim(ctx context.Context, n int) ([]Delivery, error) {
	n = min(n, len(c.pending.untouched))
	args, counts := []any{Group, c.options.Name}, make(map[string]int64, n)
	for _, id := range c.pending.untouched[:n] {
		s := c.pending.seen[id]
		args = append(args, id, s.holder, s.deliveries)
		counts[id] = s.deliveries + 1
	}
	reply, err := claimScript.Run(ctx, c.rdb, []string{Stream}, args...).Slice()
	if err != nil {
		return nil, err
	}
	c.pending.untouched = c.pending.untouched[n:]
	entries := make([]redis.XMessage, 0, len(reply))
	for _, one := range reply {
		if pair, _ := one.([]any); len(pair) == 2 {
			id, _ := pair[0].(string)
			entries = append(entries, redis.XMessage{ID: id, Values: fieldMap(pair[1])})
		}
	}
	return deliveries(entries, counts), nil
}

// fieldMap returns the fields in the reply of a script, where names and values alternate.
func fieldMap(reply any) map[string]any {
	list, _ := reply.([]any)
	fields := make(map[string]any, len(list)/2)
	for ; len(list) > 1; list = list[2:] {
		name, _ := list[0].(string)
		fields[name] = list[1]
	}
	return fields
}
