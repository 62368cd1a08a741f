package votestream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// ConsumerOptions are the numbers of a [Consumer].
type ConsumerOptions struct {
	Name      string        // within the group; a restart under the same name resumes where it was
	BatchSize int64         // entries at most in one read
	Block     time.Duration // how long one read waits for new entries
	ClaimIdle time.Duration // after which untouched entries are claimed from whoever holds them
}

// Delivery is one entry as it was handed to a consumer.
type Delivery struct {
	EntryID    string // as Redis numbers entries: "<milliseconds>-<sequence>"
	Deliveries int64  // how often it was handed out, this time included
	Message    Message
	Err        error // wraps ErrUndecodable if there is no message in it

	fields map[string]any
}

// Waited is how long the entry had been in the stream at a time, by Redis's clock.
func (d Delivery) Waited(now time.Time) time.Duration {
	return max(0, now.Sub(entryTime(d.EntryID)))
}

// Consumer reads the stream for one lane of one worker. It is not safe for concurrent use.
type Consumer struct {
	rdb     *redis.Client
	options ConsumerOptions

	resume    string // the own pending entry to go on after; "" when they are through
	nextClaim time.Time
	claimFrom string
}

// NewConsumer returns a consumer that begins with its own pending entries.
func NewConsumer(rdb *redis.Client, o ConsumerOptions) *Consumer {
	return &Consumer{rdb: rdb, options: o, resume: "0", claimFrom: claimStart}
}

// Next returns the next entries to work on: own pending ones, then those of dead consumers, then new ones, for which it
// waits up to Block. No entries and no error means that none came. After an error it begins again with the own pending.
func (c *Consumer) Next(ctx context.Context) ([]Delivery, error) {
	batch, err := c.next(ctx)
	if err != nil {
		c.resume = "0"
		return nil, fmt.Errorf("read stream: %w", explain(err))
	}
	return batch, nil
}

func (c *Consumer) next(ctx context.Context) ([]Delivery, error) {
	if c.resume != "" {
		entries, err := c.read(ctx, c.resume, -1)
		if err != nil {
			return nil, err
		}
		if len(entries) > 0 {
			c.resume = entries[len(entries)-1].ID
			return c.redelivered(ctx, entries)
		}
		c.resume = ""
	}
	if now := time.Now(); now.After(c.nextClaim) {
		entries, err := c.claim(ctx)
		if err != nil {
			return nil, err
		}
		if len(entries) > 0 {
			return c.redelivered(ctx, entries)
		}
		if c.claimFrom == claimStart { // once round
			c.nextClaim = now.Add(c.options.ClaimIdle / 2)
		}
	}
	entries, err := c.read(ctx, ">", c.options.Block)
	if err != nil {
		return nil, err
	}
	return deliveries(entries, nil), nil
}

// read waits for the answer a little longer than Redis waits for entries: a Redis that hangs is noticed.
func (c *Consumer) read(ctx context.Context, after string, block time.Duration) ([]redis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, max(block, 0)+ioTimeout)
	defer cancel()
	streams, err := c.rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: Group, Consumer: c.options.Name, Streams: []string{Stream, after}, Count: c.options.BatchSize, Block: block,
	}).Result()
	if errors.Is(err, redis.Nil) || err == nil && len(streams) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return streams[0].Messages, nil
}

// claimStart is where XAUTOCLAIM begins, and what it answers when it has been round.
const claimStart = "0-0"

// claim takes over entries that nobody has touched for ClaimIdle.
func (c *Consumer) claim(ctx context.Context) ([]redis.XMessage, error) {
	entries, next, err := c.rdb.XAutoClaim(ctx, &redis.XAutoClaimArgs{
		Stream: Stream, Group: Group, Consumer: c.options.Name, MinIdle: c.options.ClaimIdle, Start: c.claimFrom, Count: c.options.BatchSize,
	}).Result()
	if err != nil {
		return nil, err
	}
	c.claimFrom = next
	if len(entries) == 0 && next == claimStart {
		if err := forgetConsumers(ctx, c.rdb); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// pendingPage is how many pending entries are looked up at once. Others than those just read may lie between them.
const pendingPage = 1000

// redelivered looks up how often each entry has been delivered, which reading them again does not tell.
func (c *Consumer) redelivered(ctx context.Context, entries []redis.XMessage) ([]Delivery, error) {
	counts := make(map[string]int64, len(entries))
	last := entries[len(entries)-1].ID
	for from := entries[0].ID; ; {
		pending, err := c.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
			Stream: Stream, Group: Group, Consumer: c.options.Name, Start: from, End: last, Count: pendingPage,
		}).Result()
		if err != nil {
			return nil, err
		}
		for _, p := range pending {
			counts[p.ID] = p.RetryCount
		}
		if len(pending) < pendingPage {
			break
		}
		from = "(" + pending[len(pending)-1].ID
	}
	return deliveries(entries, counts), nil
}

func deliveries(entries []redis.XMessage, counts map[string]int64) []Delivery {
	batch := make([]Delivery, len(entries))
	for i, e := range entries {
		batch[i] = Delivery{EntryID: e.ID, Deliveries: max(1, counts[e.ID]), fields: e.Values}
		batch[i].Message, batch[i].Err = decode(e.Values)
	}
	return batch
}
