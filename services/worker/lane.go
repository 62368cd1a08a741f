package main

import (
	"context"
	"log/slog"
	"time"

	"petvote/shared/votestream"
)

// source hands out entries of the stream.
type source interface {
	Next(ctx context.Context) ([]votestream.Delivery, error)
}

// step is what is done with them.
type step interface {
	Process(ctx context.Context, batch []votestream.Delivery) error
}

// lane reads and processes one batch after the other. Several lanes overlap one's reading with another's commit.
type lane struct {
	source source
	step   step
	// storeUp waits while the store is away: what is not read stays visible as waiting, and free for other workers.
	storeUp func(context.Context) error
	// connect returns when the stream can be read, at the start and after an error.
	connect func(context.Context) error
}

// suspectAfter is the number of deliveries after which an entry is tried alone: if it is what kills the worker, it
// takes no other entry with it.
const suspectAfter = 3

// run works until stop ends, then finishes what it has in hand within the bound of work.
func (l *lane) run(stop, work context.Context) {
	connected := false
	for stop.Err() == nil {
		if !connected {
			if err := l.connect(stop); err != nil {
				if stop.Err() == nil {
					slog.ErrorContext(stop, "can't use the stream", "error", err)
				}
				pause(stop, pauseAfterRefusal)
				continue
			}
			connected = true
		}
		if err := l.storeUp(stop); err != nil {
			return
		}
		batch, err := l.source.Next(stop)
		if err != nil {
			if stop.Err() == nil {
				slog.WarnContext(stop, "can't read the stream, will go on when it is back", "error", err)
			}
			connected = false
			pause(stop, pauseAfterError)
			continue
		}
		for _, part := range parts(batch) {
			if err := l.step.Process(work, part); err != nil {
				if work.Err() == nil {
					slog.ErrorContext(work, "batch stays pending", "votes", len(part), "error", err)
				}
				break // the rest is pending too and comes again
			}
		}
	}
}

// The pauses between tries: at a stream that only a person can put right, such as a key that holds another thing; and
// after a read that failed, since a Redis that takes no writes, which such reads are, still answers when it is asked for
// the group.
const (
	pauseAfterRefusal = 5 * time.Second
	pauseAfterError   = 500 * time.Millisecond
)

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func suspect(d votestream.Delivery) bool { return d.Deliveries > suspectAfter }

// parts splits off suspects, each on its own.
func parts(batch []votestream.Delivery) [][]votestream.Delivery {
	if len(batch) == 0 {
		return nil
	}
	var (
		rest     = make([]votestream.Delivery, 0, len(batch))
		suspects [][]votestream.Delivery
	)
	for i := range batch {
		if suspect(batch[i]) {
			suspects = append(suspects, batch[i:i+1])
		} else {
			rest = append(rest, batch[i])
		}
	}
	if len(rest) == 0 {
		return suspects
	}
	return append([][]votestream.Delivery{rest}, suspects...)
}
