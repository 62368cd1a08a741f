package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"petvote/shared/votestore"
)

// tallyReader is where the tally is read.
type tallyReader interface {
	Tally(ctx context.Context) (votestore.Tally, error)
}

// board holds the last tally that could be read. It is what every page, push and API answer shows.
type tallyCache struct {
	store  tallyReader
	hub    *hub
	pushes pushTimes

	mu   sync.Mutex
	view view
}

var errNoTally = errors.New("no tally has been read yet")

// ready is nil once there is something to show.
func (b *tallyCache) ready() error {
	if !b.current().Known {
		return errNoTally
	}
	return nil
}

func (b *tallyCache) current() view {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.view
}

// age is the time since the tally that is shown was read, if one has been.
func (b *tallyCache) age() (old time.Duration, known bool) {
	v := b.current()
	return time.Since(v.AsOf), v.Known
}

// Refresh reads the tally and pushes it if it has changed. If it can't be read the last one stays, marked as stale.
func (b *tallyCache) Refresh(ctx context.Context, _ votestore.Notice) error {
	tally, err := b.store.Tally(ctx)
	if err != nil {
		b.markStale(ctx, err)
		return err
	}
	b.mu.Lock()
	wasStale := b.view.Stale
	b.view = view{Counts: tally.Counts, Known: true, AsOf: time.Now().UTC()}
	b.mu.Unlock()
	if wasStale {
		slog.InfoContext(ctx, "tally is current again")
	}
	if b.hub.publish(tally.Counts) {
		b.pushes.add(tally.Snapshot, time.Now().UTC())
	}
	return nil
}

func (b *tallyCache) markStale(ctx context.Context, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.view.Known && !b.view.Stale {
		b.view.Stale = true
		slog.WarnContext(ctx, "tally can't be read, showing the last one", "error", cause)
	}
}
