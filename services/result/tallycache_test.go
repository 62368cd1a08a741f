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

// ballotBox is a store with a tally, or without.
type ballotBox struct {
	counts   ballot.Counts
	snapshot votestore.Snapshot
	err      error
}

func (b *ballotBox) Tally(context.Context) (votestore.Tally, error) {
	return votestore.Tally{Counts: b.counts, Snapshot: b.snapshot}, b.err
}

func newTallyCache() (*tallyCache, *ballotBox) {
	box := &ballotBox{}
	return &tallyCache{store: box, hub: newHub()}, box
}

func TestTheBoardIsReadyFromItsFirstTallyOn(t *testing.T) {
	b, box := newTallyCache()
	box.err = errDown
	if err := b.Refresh(t.Context(), votestore.Notice{}); !errors.Is(err, errDown) {
		t.Errorf("a read that failed: %v", err)
	}
	if err := b.ready(); !errors.Is(err, errNoTally) || b.current() != (view{}) {
		t.Errorf("before the first tally: %v, view %+v", err, b.current())
	}
	box.err = nil
	if err := b.Refresh(t.Context(), votestore.Notice{}); err != nil {
		t.Fatal(err)
	}
	if err := b.ready(); err != nil || !b.current().Known {
		t.Errorf("after it, though nobody has voted: %v, view %+v", err, b.current())
	}
}

func TestAReadThatFailsKeepsTheLastTallyWithItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, box := newTallyCache()
		v := b.hub.join(transportSSE)
		box.counts = dogs(3)
		read := time.Now()
		if err := b.Refresh(t.Context(), votestore.Notice{}); err != nil {
			t.Fatal(err)
		}
		wantSeen(t, v, dogs(3))
		box.counts, box.err = ballot.Counts{}, errDown
		for range 2 {
			time.Sleep(time.Hour)
			if err := b.Refresh(t.Context(), votestore.Notice{}); !errors.Is(err, errDown) {
				t.Errorf("err = %v", err)
			}
			if got := b.current(); got.Counts != dogs(3) || !got.Known || !got.Stale || !got.AsOf.Equal(read) {
				t.Errorf("view %+v, want the last tally, stale, as of its reading", got)
			}
		}
		if err := b.ready(); err != nil {
			t.Errorf("not ready with an old tally: %v", err)
		}
		if c, ok := seen(v); ok {
			t.Errorf("pushed %+v after a failure", c)
		}
		box.counts, box.err = dogs(4), nil
		if err := b.Refresh(t.Context(), votestore.Notice{}); err != nil {
			t.Fatal(err)
		}
		if got := b.current(); got.Counts != dogs(4) || got.Stale || !got.AsOf.Equal(time.Now()) {
			t.Errorf("view after recovery: %+v", got)
		}
		wantSeen(t, v, dogs(4))
	})
}

func TestAReadOfTheSameTallyIsFreshButNotPushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newTallyCache()
		v := b.hub.join(transportSSE)
		for range 3 {
			time.Sleep(pollEvery)
			if err := b.Refresh(t.Context(), votestore.Notice{}); err != nil {
				t.Fatal(err)
			}
			if got := b.current(); !got.AsOf.Equal(time.Now()) {
				t.Errorf("as of %v, want now", got.AsOf)
			}
		}
		if f := b.hub.audience(); f.Pushes != 1 || f.Conflated != 0 {
			t.Errorf("figures %+v, want one push", f)
		}
		wantSeen(t, v, ballot.Counts{})
	})
}

func TestTheTallyAgesUntilItIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, box := newTallyCache()
		if _, known := b.age(); known {
			t.Error("a tally that was never read has an age")
		}
		for _, err := range []error{nil, errDown} {
			box.err = err
			if got := b.Refresh(t.Context(), votestore.Notice{}); !errors.Is(got, err) {
				t.Fatal(got)
			}
			time.Sleep(time.Minute)
		}
		if old, known := b.age(); !known || old != 2*time.Minute {
			t.Errorf("two minutes after the last read that succeeded: %v, %v", old, known)
		}
		box.err = nil
		if err := b.Refresh(t.Context(), votestore.Notice{}); err != nil {
			t.Fatal(err)
		}
		if old, known := b.age(); !known || old != 0 {
			t.Errorf("just read: %v, %v", old, known)
		}
	})
}
