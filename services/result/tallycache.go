package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"petvote/shared/votestore"
)

// tallyReader reads the tally from the store.
type tallyReader interface {
	Tally(ctx context.Context) (votestore.Tally, error)
}

// tallyCache holds the last tally that was read. Every page, push and API answer shows it.
type tallyCache struct {
	store  tallyReader
	hub    *hub
	pushes pushTimes

	mu   sync.Mutex
	view view
}

var errNoTally = errors.New("no tally has been read yet")

// ready returns nil once there is a tally to show.
func (c *tallyCache) ready() error {
	if !c.current().Known {
		return errNoTally
	}
	return nil
}

func (c *tallyCache) current() view {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view
}

// age returns the time since the tally was read, if it was.
func (c *tallyCache) age() (age time.Duration, known bool) {
	v := c.current()
	return time.Since(v.AsOf), v.Known
}

// Refresh reads the tally and pushes it if it has changed. After a failed read the last tally stays, marked as stale.
// Only one call may be in progress.
func (c *tallyCache) Refresh(ctx context.Context, _ votestore.Notice) error {
	tally, err := c.store.Tally(ctx)
	before := c.current()
	now := view{Counts: tally.Counts, Known: true, AsOf: time.Now().UTC()}
	if err != nil {
		now = before
		now.Stale = before.Known
	}
	c.mu.Lock()
	c.view = now
	c.mu.Unlock()
	if now.Stale && !before.Stale {
		slog.WarnContext(ctx, "can't read the tally, showing the last one", "error", err)
	} else if before.Stale && !now.Stale {
		slog.InfoContext(ctx, "tally is current again")
	}
	if err == nil && c.hub.publish(tally.Counts) {
		c.pushes.add(tally.Snapshot, time.Now().UTC())
	}
	return err
}
