package main

import (
	"slices"
	"sort"
	"sync"
	"time"

	"petvote/shared/votestore"
)

// maxPushes covers more than three minutes at ten pushes a second.
const maxPushes = 2048

// pushTimes remembers when a vote first appeared on the pages: the snapshot of each tally pushed tells which was the
// first to count a transaction. Votes that the oldest entry already counts are reported as shown, without a time. The
// zero value is empty.
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
		p.pushes = slices.Delete(p.pushes, 0, 1)
	}
	p.pushes = append(p.pushes, pushTime{s, at})
}

// shownAt returns whether the votes of a transaction have been pushed, and when first; the zero time if that is no
// longer known.
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
