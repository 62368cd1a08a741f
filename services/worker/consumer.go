package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"petvote/shared/votestream"
)

// source delivers entries of the stream.
type source interface {
	Next(ctx context.Context) ([]votestream.Delivery, error)
}

// consumer reads and processes one batch after another. While one consumer commits, another can read.
type consumer struct {
	source  source
	process func(ctx context.Context, batch []votestream.Delivery) error
	// storeUp blocks while the store is unavailable: unread entries count as waiting, and other workers can take them.
	storeUp func(context.Context) error
	// connect returns nil when the stream can be read. It is called at the start and after an error.
	connect func(context.Context) error
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
func (c consumer) run(stop, work context.Context) {
	connected := false
	for stop.Err() == nil {
		if !connected {
			if err := c.connect(stop); err != nil {
				if stop.Err() == nil {
					slog.ErrorContext(stop, "stream unusable; retrying", "error", err)
				}
				pause(stop, pauseAfterConnect)
				continue
			}
			connected = true
		}
		if err := c.storeUp(stop); err != nil {
			return
		}
		batch, err := c.source.Next(stop)
		if err != nil {
			if stop.Err() == nil {
				slog.WarnContext(stop, "stream read failed; retrying", "error", err)
			}
			connected = false
			pause(stop, pauseAfterRead)
			continue
		}
		for _, part := range split(batch) {
			if err := c.process(work, part); err != nil {
				if work.Err() == nil {
					slog.ErrorContext(work, "batch failed; its entries stay pending", "votes", len(part), "error", err)
				}
				break // the other parts stay pending too
			}
		}
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
