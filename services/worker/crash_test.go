package main

import (
	"context"
	"errors"
	"slices"
	"testing"

	"petvote/shared/votestream"
)

// batches is a source that hands out what it has, one batch after the other, and then nothing.
type batches [][]votestream.Delivery

func (b *batches) Next(context.Context) ([]votestream.Delivery, error) {
	if len(*b) == 0 {
		return nil, nil
	}
	first := (*b)[0]
	*b = (*b)[1:]
	return first, nil
}

// work passes some batches through everything that can crash, and returns what had been called when it died, or all.
func work(t *testing.T, at crashPoint, after uint32, batches batches) (calls []string, died bool) {
	t.Helper()
	l := &ledger{}
	c := newCrasher(at, after, func() { panic("died") })
	defer func() {
		if what := recover(); what != nil && what != "died" {
			panic(what)
		} else if what != nil {
			calls, died = l.calls, true
		}
	}()
	from := crashingSource{&batches, c}
	p := processor{store: crashingRecorder{l, c}, queue: crashingAcker{l, c}, maxTries: maxTries}
	for {
		batch, err := from.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) == 0 {
			return l.calls, false
		}
		if err := p.Process(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheWorkerDiesAtThePointItIsTold(t *testing.T) {
	for _, c := range []struct {
		at    crashPoint
		after uint32
		calls []string
		died  bool
	}{
		{crashNever, 0, []string{"record 1", "settle 1", "record 2", "settle 2"}, false},
		{crashAfterRead, 0, nil, true},
		{crashAfterRead, 1, []string{"record 1", "settle 1"}, true},
		{crashAfterRead, 2, []string{"record 1", "settle 1", "record 2", "settle 2"}, false},
		{crashAfterCommit, 0, []string{"record 1"}, true},
		{crashAfterCommit, 1, []string{"record 1", "settle 1", "record 2"}, true},
		{crashBeforeAck, 0, []string{"record 1"}, true},
		{crashBeforeAck, 1, []string{"record 1", "settle 1", "record 2"}, true},
	} {
		calls, died := work(t, c.at, c.after, batches{batch("1"), batch("2")})
		if !slices.Equal(calls, c.calls) || died != c.died {
			t.Errorf("%q after %d: %q, died: %v; want %q, %v", c.at, c.after, calls, died, c.calls, c.died)
		}
	}
}

func TestReadsThatBringNothingAndCommitsThatFailAreNoPasses(t *testing.T) {
	deaths := 0
	c := newCrasher(crashAfterRead, 0, func() { deaths++ })
	if _, err := (crashingSource{&batches{}, c}).Next(t.Context()); err != nil || deaths > 0 {
		t.Errorf("an empty read: %v, %d deaths", err, deaths)
	}
	c = newCrasher(crashAfterCommit, 0, func() { deaths++ })
	if _, err := (crashingRecorder{&ledger{awayFrom: 1}, c}).Record(t.Context(), nil); !errors.Is(err, errAway) || deaths > 0 {
		t.Errorf("a commit that failed: %v, %d deaths", err, deaths)
	}
}

func TestLanesCountTheirPassesTogether(t *testing.T) {
	deaths := 0
	c := newCrasher(crashBeforeAck, 3, func() { deaths++ })
	l := &ledger{}
	lanes := []crashingAcker{{l, c}, {l, c}}
	for i := range 3 {
		if err := lanes[i%2].Ack(t.Context(), nil); err != nil || deaths > 0 {
			t.Fatalf("pass %d: %v, %d deaths", i+1, err, deaths)
		}
	}
	if err := lanes[1].Ack(t.Context(), nil); err != nil || deaths != 1 {
		t.Errorf("the fourth pass: %v, %d deaths", err, deaths)
	}
}
