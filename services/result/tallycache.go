package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sort"
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

	mu      sync.Mutex
	view    view
	failure error // of the last read
}

var errNoTally = errors.New("no tally has been read yet")

// ready returns nil once there is a tally to show.
func (c *tallyCache) ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.view.Known:
		return nil
	case c.failure != nil:
		return fmt.Errorf("%w: %w", errNoTally, c.failure)
	}
	return errNoTally
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
	c.view, c.failure = now, err
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

// maxPushes covers more than three minutes at sixty pushes a second.
const maxPushes = 12 << 10

// pushTimes remembers when a vote first appeared on the pages: the snapshot of each tally pushed shows which was the
// first to count a transaction. Votes that the oldest entry already counts are reported as shown, without a time.
type pushTimes struct {
	mu     sync.Mutex
	pushes []pushTime // oldest first; each snapshot sees everything that the one before it sees
}

type pushTime struct {
	snapshot votestore.Snapshot
	at       time.Time // when the push was in every viewer's mailbox
}

// add records a push. A snapshot older than the last one, as after restoring a backup, clears the record: transaction
// numbers of the other database mean nothing in this one.
func (p *pushTimes) add(s votestore.Snapshot, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch n := len(p.pushes); {
	case n > 0 && s.OlderThan(p.pushes[n-1].snapshot):
		p.pushes = p.pushes[:0]
	case n == maxPushes:
		p.pushes = slices.Delete(p.pushes, 0, maxPushes/16) // not one by one, since the others move
	}
	p.pushes = append(p.pushes, pushTime{s, at})
}

// shownAt returns whether a transaction's votes have been pushed, and when first; the zero time if that is unknown.
func (p *pushTimes) shownAt(transaction uint64) (shown bool, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := sort.Search(len(p.pushes), func(i int) bool { return p.pushes[i].snapshot.Sees(transaction) })
	switch i {
	case len(p.pushes):
		return false, time.Time{}
	case 0:
		return true, time.Time{}
	}
	return true, p.pushes[i].at
}
