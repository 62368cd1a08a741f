package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"petvote/infra/testenv"
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
	return &tallyCache{store: store, hub: newHub(100_000)}, store
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
	if err := c.ready(); !errors.Is(err, errNoTally) || !errors.Is(err, errDown) || c.current() != (view{}) {
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
		v := enter(c.hub, transportSSE)
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

func snapshot(t *testing.T, text string) votestore.Snapshot {
	t.Helper()
	s, err := votestore.ParseSnapshot(text)
	testenv.Must(t, err)
	return s
}

// wantShown checks when the votes of a transaction were shown, the zero time if that is no longer known.
func wantShown(t *testing.T, p *pushTimes, transaction uint64, want time.Time) {
	t.Helper()
	if shown, at := p.shownAt(transaction); !shown || !at.Equal(want) {
		t.Errorf("votes of %d: shown %v, at %v, want %v", transaction, shown, at, want)
	}
}

func wantNotShown(t *testing.T, p *pushTimes, transactions ...uint64) {
	t.Helper()
	for _, id := range transactions {
		if shown, at := p.shownAt(id); shown || !at.IsZero() {
			t.Errorf("votes of %d are shown, at %v", id, at)
		}
	}
}

func TestAVoteIsShownByTheFirstPushThatCountsIt(t *testing.T) {
	var p pushTimes
	wantNotShown(t, &p, 0, 3, 1<<40)
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p.add(snapshot(t, "99:103:99,101"), start)
	wantShown(t, &p, 98, time.Time{})  // before the start
	wantShown(t, &p, 102, time.Time{}) // the same, though later than two that are missing
	wantNotShown(t, &p, 99, 101, 103)
	p.add(snapshot(t, "101:106:101,104"), start.Add(1*time.Second))
	p.add(snapshot(t, "101:107:101"), start.Add(2*time.Second))
	p.add(snapshot(t, "107:107:"), start.Add(3*time.Second))
	for transaction, after := range map[uint64]time.Duration{99: 1, 103: 1, 105: 1, 104: 2, 106: 2, 101: 3} {
		wantShown(t, &p, transaction, start.Add(after*time.Second))
	}
	wantNotShown(t, &p, 107)
	p.add(snapshot(t, "50:50:"), start) // of another database
	wantShown(t, &p, 49, time.Time{})
	wantNotShown(t, &p, 50, 103)
}

func TestThePushTimesAreBounded(t *testing.T) {
	var p pushTimes
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	push := func(from, to uint64) { // the nth counts transaction n
		for n := from; n <= to; n++ {
			p.add(snapshot(t, fmt.Sprintf("%d:%d:", n+1, n+1)), start.Add(time.Duration(n)*time.Second))
		}
	}
	push(1, maxPushes)
	wantShown(t, &p, 1, time.Time{})
	wantShown(t, &p, 2, start.Add(2*time.Second))
	push(maxPushes+1, 3*maxPushes)
	n := len(p.pushes)
	if n > maxPushes || n < maxPushes*9/10 {
		t.Errorf("%d pushes are remembered, want some %d", n, maxPushes)
	}
	oldest := uint64(3*maxPushes + 1 - n)
	wantShown(t, &p, 2, time.Time{})
	wantShown(t, &p, oldest, time.Time{})
	wantShown(t, &p, oldest+1, start.Add(time.Duration(oldest+1)*time.Second))
	wantShown(t, &p, 3*maxPushes, start.Add(3*maxPushes*time.Second))
	wantNotShown(t, &p, 3*maxPushes+1)
}

func TestTheCacheRecordsItsPushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, store := newTallyCache()
		read := func(text string, dogCount int64, failure error) {
			time.Sleep(time.Second)
			store.counts, store.snapshot, store.err = dogs(dogCount), snapshot(t, text), failure
			refresh(t, c, store)
		}
		read("11:11:", 1, nil)
		read("15:15:", 1, nil) // after transactions that were no votes
		read("16:16:", 2, errDown)
		wantShown(t, &c.pushes, 10, time.Time{})
		wantNotShown(t, &c.pushes, 15)
		read("17:17:", 2, nil)
		pushed := time.Now()
		read("18:18:", 2, nil)
		wantShown(t, &c.pushes, 15, pushed)
		if n := len(c.pushes.pushes); n != 2 {
			t.Errorf("%d pushes, want those of the two tallies", n)
		}
	})
}
