package main

import (
	"slices"
	"sort"
	"sync"
	"time"

	"petvote/shared/votestore"
)

// maxPushes bounds the log: at ten pushes a second, the most there are, it goes back more than three minutes.
const maxPushes = 2048

// pushTimes tells when a vote appeared on the pages. It holds the snapshot of each tally that was pushed, and knows by that
// for certain which was the first to count a vote. Its oldest entry, the first after the start until the log is full, is
// the line behind which the times are forgotten. The zero pushTimes is empty.
type pushTimes struct {
	mu     sync.Mutex
	pushes []pushed // oldest first; each snapshot sees all that the one before it does
}

type pushed struct {
	snapshot votestore.Snapshot
	at       time.Time // when it had been handed to every viewer
}

// add notes a push that was made at a time. A snapshot older than the last one, as after the restoring of a backup,
// begins the log anew: nothing said of the other database's transactions is true of this one's.
func (l *pushTimes) add(s votestore.Snapshot, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch n := len(l.pushes); {
	case n > 0 && s.OlderThan(l.pushes[n-1].snapshot):
		l.pushes = l.pushes[:0]
	case n == maxPushes:
		l.pushes = slices.Delete(l.pushes, 0, 1)
	}
	l.pushes = append(l.pushes, pushed{s, at})
}

// shownAt says whether the votes of a transaction have been pushed, and when that was first so; the zero time if it is
// not known any more.
func (l *pushTimes) shownAt(transaction uint64) (shown bool, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch i := sort.Search(len(l.pushes), func(i int) bool { return l.pushes[i].snapshot.Sees(transaction) }); i {
	case len(l.pushes):
		return false, time.Time{}
	case 0:
		return true, time.Time{}
	default:
		return true, l.pushes[i].at
	}
}
