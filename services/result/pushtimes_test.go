package main

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/votestore"
)

func snapshot(t *testing.T, text string) votestore.Snapshot {
	t.Helper()
	s, err := votestore.ParseSnapshot(text)
	if err != nil {
		t.Fatal(err)
	}
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
	if n := len(p.pushes); n != maxPushes {
		t.Errorf("%d pushes are remembered, want %d", n, maxPushes)
	}
	const oldest = 2*maxPushes + 1
	wantShown(t, &p, 2, time.Time{})
	wantShown(t, &p, oldest, time.Time{})
	wantShown(t, &p, oldest+1, start.Add((oldest+1)*time.Second))
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
