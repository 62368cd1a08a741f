package votestream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// ConsumerOptions configure a [Consumer].
type ConsumerOptions struct {
	Name      string        // within the group; a restart under the same name resumes its pending entries
	Block     time.Duration // how long a read waits for new entries
	ClaimIdle time.Duration // after which untouched entries are claimed from their holder
}

// Delivery is an entry as delivered to a consumer.
type Delivery struct {
	Queue      string
	EntryID    string // "<milliseconds>-<sequence>"
	Deliveries int64  // this one included
	Message    Message
	Err        error // wraps ErrUndecodable if there is no message
}

// Entry names the entry among those of all queues.
func (d Delivery) Entry() Entry { return Entry{d.Queue, d.EntryID} }

// Waited returns the entry's time in the stream so far, by Redis's clock.
func (d Delivery) Waited(now time.Time) time.Duration {
	return max(0, now.Sub(EntryTime(d.EntryID)))
}

// Consumer is one member of the group. It is not safe for concurrent use.
type Consumer struct {
	rdb     *Client
	options ConsumerOptions

	resume   string // the last own pending entry read; "" when there are no more
	pending  pendingWatch
	nextLook time.Time
	claimed  bool // the last batch was a claimed one: new entries are next
}

// NewConsumer returns a consumer that starts with its own pending entries.
func NewConsumer(rdb *Client, o ConsumerOptions) *Consumer {
	return &Consumer{rdb: rdb, options: o, resume: "0", pending: pendingWatch{until: "+"}}
}

// Next returns up to n entries: own pending ones first, then those of dead consumers in turns with new ones. With wait
// it waits for new ones, up to Block. It may return none. After an error it starts over with the own pending entries.
func (c *Consumer) Next(ctx context.Context, n int, wait bool) ([]Delivery, error) {
	batch, err := c.next(ctx, n, wait)
	if err != nil {
		c.resume = "0"
		return nil, fmt.Errorf("read stream: %w", explain(err))
	}
	return batch, nil
}

func (c *Consumer) next(ctx context.Context, n int, wait bool) ([]Delivery, error) {
	if c.resume != "" {
		own, err := c.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
			Stream: Stream, Group: Group, Consumer: c.options.Name, Start: "(" + c.resume, End: "+", Count: int64(n),
		}).Result()
		if err != nil {
			return nil, err
		}
		if len(own) > 0 {
			c.resume = own[len(own)-1].ID
			return c.take(ctx, own)
		}
		c.resume = ""
	}
	if c.claimed {
		c.claimed, wait = false, false // there may be more to claim
	} else {
		batch, err := c.claimUntouched(ctx, n)
		if c.claimed = len(batch) > 0; c.claimed || err != nil {
			return batch, err
		}
	}
	block := c.options.Block
	if !wait {
		block = -1
	}
	return c.read(ctx, n, block)
}

// claimUntouched takes over entries of dead consumers, n at most.
func (c *Consumer) claimUntouched(ctx context.Context, n int) ([]Delivery, error) {
	if now := time.Now(); now.After(c.nextLook) {
		if err := c.look(ctx, now); err != nil {
			return nil, err
		}
		c.nextLook = now.Add(c.options.ClaimIdle / looksPerClaim)
	}
	for len(c.pending.untouched) > 0 {
		if batch, err := c.claim(ctx, n); err != nil || len(batch) > 0 {
			return batch, err
		}
	}
	return nil, nil
}

// holdScript is a script because XCLAIM alone would also take entries back from consumers that have claimed them.
var holdScript = redis.NewScript(`
local held = {}
for i = 3, #ARGV do
  if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2]) > 0 then
    held[#held + 1] = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')[1]
  end
end
return held`)

// Hold returns those of a batch that are still pending with this consumer. They count as touched just now, and not as
// delivered again.
func (c *Consumer) Hold(ctx context.Context, batch []Delivery) ([]Delivery, error) {
	args := append(make([]any, 0, len(batch)+2), Group, c.options.Name)
	for _, d := range batch {
		args = append(args, d.EntryID)
	}
	ids, err := holdScript.Run(ctx, c.rdb, []string{Stream}, args...).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("hold entries: %w", explain(err))
	}
	var held []Delivery
	for _, d := range batch { // the reply is in the same order
		if len(ids) > 0 && ids[0] == d.EntryID {
			held, ids = append(held, d), ids[1:]
		}
	}
	return held, nil
}

// read reads new entries. It waits longer than Redis waits for them, but not for ever: Redis may hang.
func (c *Consumer) read(ctx context.Context, n int, block time.Duration) ([]Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, max(block, 0)+ioTimeout)
	defer cancel()
	streams, err := c.rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: Group, Consumer: c.options.Name, Streams: []string{Stream, ">"}, Count: int64(n), Block: block,
	}).Result()
	if errors.Is(err, redis.Nil) || err == nil && len(streams) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	batch := make([]Delivery, len(streams[0].Messages))
	for i, e := range streams[0].Messages {
		batch[i] = Delivery{Queue: c.rdb.queue, EntryID: e.ID, Deliveries: 1}
		batch[i].Message, batch[i].Err = decode(e.Values)
	}
	return batch, nil
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
