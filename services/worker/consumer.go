package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// source delivers entries of the stream.
type source interface {
	// Next returns up to n entries. It may wait for new ones, or return none.
	Next(ctx context.Context, n int, wait bool) ([]votestream.Delivery, error)
	// Hold returns those of a batch that no other consumer has claimed, and keeps the others from doing so.
	Hold(ctx context.Context, batch []votestream.Delivery) ([]votestream.Delivery, error)
}

// consumer reads and processes one batch after another. While one consumer commits, another can read.
//
// A batch that times out, or that PostgreSQL refuses because of some entry, is deferred: it is processed again in
// parts, in turns with new entries. A part that fails again is deferred itself, for smaller parts, so that in the end
// an entry that can't be stored is alone, and no other waits for it.
type consumer struct {
	queue   string // its Redis, in the log
	source  source
	process func(ctx context.Context, batch []votestream.Delivery) error
	// storeUp blocks while the store is unavailable: unread entries count as waiting, and other workers can take them.
	storeUp func(context.Context) error
	// connect returns nil when the stream can be read. It is called at the start and after an error.
	connect func(context.Context) error
	size    batchSize

	deferred    []deferredBatch
	wasDeferred bool // the last batch was
}

// deferredBatch is a batch that failed, and may be stored in parts.
type deferredBatch struct {
	entries []votestream.Delivery
	part    int // the size of the next part; doubles with each
	due     time.Time
}

const (
	// After this many deliveries an entry is retried in isolation. If it kills the worker, no other entry is affected.
	quarantineAfter = 3
	// finishTimeout bounds the work in hand at a stop.
	finishTimeout = 5 * time.Second
	// Back off for long if the stream's key needs manual repair, and briefly after a failed read: XREADGROUP is a write,
	// so it can fail while connect, which only reads, still succeeds.
	pauseAfterConnect = 5 * time.Second
	pauseAfterRead    = 500 * time.Millisecond
	// The least time between two tries of an entry that fails alone.
	pauseAlone = time.Second
)

// consume runs the consumers until ctx ends, calls drain, and returns when they have finished the work in hand.
func consume(ctx context.Context, consumers []consumer, drain func()) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var running sync.WaitGroup
	for _, c := range consumers {
		running.Go(func() { c.run(ctx, work) })
	}
	<-ctx.Done()
	drain()
	defer time.AfterFunc(finishTimeout, cancel).Stop()
	running.Wait()
}

// run works until stop ends. Only the end of work interrupts a batch in hand.
func (c *consumer) run(stop, work context.Context) {
	connected := false
	for stop.Err() == nil {
		if !connected {
			if err := c.connect(stop); err != nil {
				if stop.Err() == nil {
					slog.ErrorContext(stop, "stream unusable; retrying", "dependency", c.queue, "error", err)
				}
				pause(stop, pauseAfterConnect)
				continue
			}
			connected = true
		}
		if err := c.storeUp(stop); err != nil {
			return
		}
		batch, err := c.next(stop)
		if err != nil {
			if stop.Err() == nil {
				slog.WarnContext(stop, "stream read failed; retrying", "dependency", c.queue, "error", err)
			}
			c.size.failed(c.size.now)
			connected = false
			pause(stop, pauseAfterRead)
			continue
		}
		c.processParts(work, split(batch))
	}
}

// next returns the next batch: in turns a deferred one, as far as it is still this consumer's, and new entries.
func (c *consumer) next(ctx context.Context) ([]votestream.Delivery, error) {
	now := time.Now()
	i := slices.IndexFunc(c.deferred, func(d deferredBatch) bool { return !d.due.After(now) })
	if c.wasDeferred = !c.wasDeferred && i >= 0; !c.wasDeferred {
		batch, err := c.source.Next(ctx, c.size.now, i < 0)
		if err != nil {
			c.deferred = nil // after an error the source delivers everything again that is pending
		}
		return batch, err
	}
	old := &c.deferred[i]
	n := min(old.part, c.size.now, len(old.entries))
	batch, err := c.source.Hold(ctx, old.entries[:n])
	if err != nil {
		return nil, err
	}
	old.part *= 2
	if old.entries = old.entries[n:]; len(old.entries) == 0 {
		c.deferred = slices.Delete(c.deferred, i, i+1)
	}
	return batch, nil
}

// processParts processes the parts of a batch until one fails.
func (c *consumer) processParts(ctx context.Context, parts [][]votestream.Delivery) {
	for i, part := range parts {
		began := time.Now()
		err := c.process(ctx, slices.Clone(part)) // which may change the traces in it
		took := time.Since(began)
		switch {
		case err == nil:
			c.size.stored(len(part), took)
			continue
		case ctx.Err() != nil:
		case votestore.IsOfSomeEntries(err):
			slog.WarnContext(ctx, "batch not stored; deferred", "votes", len(part), "took", took, "error", err)
			c.size.failed(len(part))
			if rest := slices.Concat(parts[i+1:]...); len(rest) > 0 {
				c.deferred = append(c.deferred, deferredBatch{entries: rest, part: len(rest)})
			}
			late := deferredBatch{entries: part, part: smaller(len(part))}
			if len(part) == 1 && c.wasDeferred { // new entries get at least as much time as one that can't be stored
				late.due = time.Now().Add(max(took, pauseAlone))
			}
			c.deferred = append(c.deferred, late)
		default: // the other parts stay pending too
			slog.ErrorContext(ctx, "batch failed; its entries stay pending", "votes", len(part), "error", err)
		}
		return
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func quarantined(d votestream.Delivery) bool { return d.Deliveries > quarantineAfter }

// split puts each quarantined entry into a part of its own, after the others.
func split(batch []votestream.Delivery) (parts [][]votestream.Delivery) {
	others := make([]votestream.Delivery, 0, len(batch))
	for i := range batch {
		if quarantined(batch[i]) {
			parts = append(parts, batch[i:i+1])
		} else {
			others = append(others, batch[i])
		}
	}
	if len(others) > 0 {
		parts = append([][]votestream.Delivery{others}, parts...)
	}
	return parts
}
