package votestream

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// pendingWatch finds idle entries, which their consumers do not touch. Redis alone can't: it measures idle times by its
// wall clock, and after a step back by an hour the entries of a dead consumer look fresh for that hour. So the watch
// remembers its observations, and measures by the monotonic clock of this process too.
type pendingWatch struct {
	seen      map[string]observation // by entry
	until     string                 // the last entry that was pending at the previous look; later ones are too young
	untouched []redis.XPendingExt    // to be claimed
}

// observation is a pending entry as a look showed it.
type observation struct {
	holder     string
	deliveries int64
	touched    time.Time // when, by Redis's clock; zero if that lies in the future, which Redis does not tell
	since      time.Time // when at the latest, by this process's clock
}

// sameTouch is by how much the computed times of one touch may differ.
const sameTouch = 100 * time.Millisecond

func (s observation) sameAs(other observation) bool {
	return s.holder == other.holder && s.deliveries == other.deliveries &&
		(s.touched.IsZero() || other.touched.IsZero() || s.touched.Sub(other.touched).Abs() <= sameTouch)
}

// looksPerClaim is how often a consumer looks at the pending entries while ClaimIdle passes. An entry is first seen
// after two looks at the latest, and claimed ClaimIdle and one look later.
const looksPerClaim = 4

// look updates the watch.
func (c *Consumer) look(ctx context.Context, now time.Time) error {
	w := pendingWatch{seen: map[string]observation{}}
	all, err := c.rdb.XPending(ctx, Stream, Group).Result()
	if err != nil {
		return err
	}
	w.until = all.Higher
	if all.Count > 0 && c.pending.until != "" {
		err = c.eachPending(ctx, "-", c.pending.until, func(p redis.XPendingExt, clock time.Time) {
			s := observation{holder: p.Consumer, deliveries: p.RetryCount, since: now.Add(-p.Idle)}
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
				w.untouched = append(w.untouched, p)
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

// eachPending visits the pending entries in a range of the stream, with the time of Redis's clock.
func (c *Consumer) eachPending(
	ctx context.Context, from, to string, visit func(p redis.XPendingExt, clock time.Time),
) error {
	for {
		var clock *redis.TimeCmd
		var pending *redis.XPendingExtCmd
		_, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			clock = p.Time(ctx)
			pending = p.XPendingExt(ctx, &redis.XPendingExtArgs{
				Stream: Stream, Group: Group, Start: from, End: to, Count: pendingPage,
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

// maxEntry is the size, in bytes, of the largest entry that is read again after a read has failed; a vote's is far
// below. A larger one may be the reason. So it is delivered without its fields, is dead-lettered and blocks no other.
const maxEntry = 64 << 10

// takeTimeout lets Redis look at entries of any size, and does not outlast a stop.
const takeTimeout = 5 * time.Second

// takeScript claims the entries that are still as they were seen: of several consumers that saw the same, one gets
// them. In place of the fields of an entry that is too large it returns their size.
var takeScript = redis.NewScript(`
local taken = {}
for i = 4, #ARGV, 3 do
  local now = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)[1]
  if now and now[2] == ARGV[i + 1] and now[4] == tonumber(ARGV[i + 2]) then
    local entry = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i])[1]
    if entry then
      local size = 0
      for _, text in ipairs(entry[2]) do size = size + #text end
      taken[#taken + 1] = {ARGV[i], now[4] + 1, size > tonumber(ARGV[3]) and size or entry[2]}
    end
  end
end
return taken`)

// take claims pending entries, also this consumer's own, and returns those that were still as they had been seen.
func (c *Consumer) take(ctx context.Context, seen []redis.XPendingExt) ([]Delivery, error) {
	args := []any{Group, c.options.Name, maxEntry}
	for _, p := range seen {
		args = append(args, p.ID, p.Consumer, p.RetryCount)
	}
	reply, err := takeScript.Run(ctx, c.rdb.WithTimeout(takeTimeout), []string{Stream}, args...).Slice()
	if err != nil {
		return nil, err
	}
	batch := make([]Delivery, len(reply))
	for i, one := range reply {
		entry, _ := one.([]any)
		batch[i].Queue = c.rdb.queue
		batch[i].EntryID, _ = entry[0].(string)
		batch[i].Deliveries, _ = entry[1].(int64)
		if size, tooLarge := entry[2].(int64); tooLarge {
			batch[i].Err = fmt.Errorf("%w: %d bytes", ErrUndecodable, size)
		} else {
			batch[i].Message, batch[i].Err = decode(fieldMap(entry[2]))
		}
	}
	return batch, nil
}

// claim takes over untouched entries, n at most.
func (c *Consumer) claim(ctx context.Context, n int) ([]Delivery, error) {
	n = min(n, len(c.pending.untouched))
	batch, err := c.take(ctx, c.pending.untouched[:n])
	if err == nil {
		c.pending.untouched = c.pending.untouched[n:]
	}
	return batch, err
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
