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

// wantShown checks when the votes of a transaction were shown, the zero time for one that is not known any more.
func wantShown(t *testing.T, l *pushTimes, transaction uint64, want time.Time) {
	t.Helper()
	if shown, at := l.shownAt(transaction); !shown || !at.Equal(want) {
		t.Errorf("votes of %d: shown %v, at %v, want %v", transaction, shown, at, want)
	}
}

func wantNotShown(t *testing.T, l *pushTimes, transactions ...uint64) {
	t.Helper()
	for _, id := range transactions {
		if shown, at := l.shownAt(id); shown || !at.IsZero() {
			t.Errorf("votes of %d are shown, at %v", id, at)
		}
	}
}

func TestAVoteWasShownByTheFirstPushThatCountsIt(t *testing.T) {
	var l pushTimes
	wantNotShown(t, &l, 0, 3, 1<<40)
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l.add(snapshot(t, "99:103:99,101"), start)
	wantShown(t, &l, 98, time.Time{})  // before the start
	wantShown(t, &l, 102, time.Time{}) // the same, though later than two that are missing
	wantNotShown(t, &l, 99, 101, 103)
	l.add(snapshot(t, "101:106:101,104"), start.Add(1*time.Second))
	l.add(snapshot(t, "101:107:101"), start.Add(2*time.Second))
	l.add(snapshot(t, "107:107:"), start.Add(3*time.Second))
	for transaction, after := range map[uint64]time.Duration{99: 1, 103: 1, 105: 1, 104: 2, 106: 2, 101: 3} {
		wantShown(t, &l, transaction, start.Add(after*time.Second))
	}
	wantNotShown(t, &l, 107)
}

func TestTheLogOfPushesIsBounded(t *testing.T) {
	var l pushTimes
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	push := func(from, to uint64) { // the nth counts transaction n
		for n := from; n <= to; n++ {
			l.add(snapshot(t, fmt.Sprintf("%d:%d:", n+1, n+1)), start.Add(time.Duration(n)*time.Second))
		}
	}
	push(1, maxPushes)
	wantShown(t, &l, 1, time.Time{})
	wantShown(t, &l, 2, start.Add(2*time.Second))
	push(maxPushes+1, 3*maxPushes)
	if n := len(l.pushes); n != maxPushes {
		t.Errorf("%d pushes in the log, want %d", n, maxPushes)
	}
	const oldest = 2*maxPushes + 1
	wantShown(t, &l, 2, time.Time{})
	wantShown(t, &l, oldest, time.Time{})
	wantShown(t, &l, oldest+1, start.Add((oldest+1)*time.Second))
	wantShown(t, &l, 3*maxPushes, start.Add(3*maxPushes*time.Second))
	wantNotShown(t, &l, 3*maxPushes+1)
}

func TestAnotherDatabaseBeginsTheLogAnew(t *testing.T) {
	var l pushTimes
	l.add(snapshot(t, "1000:1000:"), time.Now())
	l.add(snapshot(t, "100:100:"), time.Now())
	wantShown(t, &l, 99, time.Time{})
	wantNotShown(t, &l, 100, 500)
}

func TestTheBoardLogsWhatItPushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, box := newTallyCache()
		refresh := func(text string, dogCount int64, failure error) {
			time.Sleep(time.Second)
			box.counts, box.snapshot, box.err = dogs(dogCount), snapshot(t, text), failure
			_ = b.Refresh(t.Context(), votestore.Notice{}) // tested elsewhere
		}
		refresh("11:11:", 1, nil)
		refresh("15:15:", 1, nil) // other transactions than votes
		refresh("16:16:", 2, errDown)
		wantShown(t, &b.pushes, 10, time.Time{})
		wantNotShown(t, &b.pushes, 15)
		refresh("17:17:", 2, nil)
		pushed := time.Now()
		refresh("18:18:", 2, nil)
		wantShown(t, &b.pushes, 15, pushed)
		if n := len(b.pushes.pushes); n != 2 {
			t.Errorf("%d pushes in the log, want those of the two tallies", n)
		}
	})
}
