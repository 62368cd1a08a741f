package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/ballot"
	"petvote/shared/votestore"
)

var errDown = errors.New("dial tcp 10.1.2.3:5432: connection refused")

// fakeTally is a store with a tally, or an error.
type fakeTally struct {
	counts   ballot.Counts
	snapshot votestore.Snapshot
	err      error
}

func (f *fakeTally) Tally(context.Context) (votestore.Tally, error) {
	return votestore.Tally{Counts: f.counts, Snapshot: f.snapshot}, f.err
}

func newTallyCache() (*tallyCache, *fakeTally) {
	store := &fakeTally{}
	return &tallyCache{store: store, hub: newHub()}, store
}

// refresh reads the tally, with the store's error as the result.
func refresh(t *testing.T, c *tallyCache, store *fakeTally) {
	t.Helper()
	if err := c.Refresh(t.Context(), votestore.Notice{}); !errors.Is(err, store.err) {
		t.Errorf("refresh: %v, want %v", err, store.err)
	}
}

func TestTheCacheIsReadyFromItsFirstTallyOn(t *testing.T) {
	c, store := newTallyCache()
	store.err = errDown
	refresh(t, c, store)
	if err := c.ready(); !errors.Is(err, errNoTally) || c.current() != (view{}) {
		t.Errorf("before the first tally: %v, view %+v", err, c.current())
	}
	store.err = nil
	refresh(t, c, store)
	if err := c.ready(); err != nil || !c.current().Known {
		t.Errorf("after it, though it is zero: %v, view %+v", err, c.current())
	}
}

func TestAFailedReadKeepsTheLastTallyWithItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, store := newTallyCache()
		if _, known := c.age(); known {
			t.Error("a tally that was never read has an age")
		}
		v := c.hub.join(transportSSE)
		check := func(counts ballot.Counts, stale bool, age time.Duration) {
			t.Helper()
			got := c.current()
			if got.Counts != counts || !got.Known || got.Stale != stale || time.Since(got.AsOf) != age {
				t.Errorf("view %+v, want %+v, stale %v, %v old", got, counts, stale, age)
			}
			if old, known := c.age(); !known || old != age {
				t.Errorf("age %v, %v, want %v", old, known, age)
			}
		}
		store.counts = dogs(3)
		refresh(t, c, store)
		wantSeen(t, v, dogs(3))
		store.counts, store.err = ballot.Counts{}, errDown
		for hours := range time.Duration(2) {
			time.Sleep(time.Hour)
			refresh(t, c, store)
			check(dogs(3), true, (hours+1)*time.Hour)
		}
		if err := c.ready(); err != nil {
			t.Errorf("not ready with an old tally: %v", err)
		}
		wantSeen(t, v)
		store.counts, store.err = dogs(4), nil
		refresh(t, c, store)
		check(dogs(4), false, 0)
		wantSeen(t, v, dogs(4))
		time.Sleep(pollEvery)
		refresh(t, c, store) // the same tally is fresh again, but not pushed
		check(dogs(4), false, 0)
		wantSeen(t, v)
	})
}
