package main

import (
	"context"
	"errors"
	"slices"
	"testing"

	"petvote/infra/testenv"
	"petvote/shared/votestream"
)

// batches is a source that delivers its batches one after another, then nothing.
type batches [][]votestream.Delivery

func (b *batches) Hold(_ context.Context, batch []votestream.Delivery) ([]votestream.Delivery, error) {
	return batch, nil
}

func (b *batches) Next(context.Context, int, bool) ([]votestream.Delivery, error) {
	if len(*b) == 0 {
		return nil, nil
	}
	first := (*b)[0]
	*b = (*b)[1:]
	return first, nil
}

// work passes batches through all crash points and returns the calls until the exit, or all.
func work(t *testing.T, at crashPoint, after uint32, batches batches) (calls []string, exited bool) {
	t.Helper()
	l := &ledger{}
	c := newCrasher(at, after, func() { panic("exit") })
	defer func() {
		if what := recover(); what != nil && what != "exit" {
			panic(what)
		} else if what != nil {
			calls, exited = l.calls, true
		}
	}()
	from := crashingSource{&batches, c}
	p := processor{store: crashingRecorder{l, c}, queue: crashingAcker{l, c}, maxRetries: maxRetries}
	for {
		batch, err := from.Next(t.Context(), 10, true)
		testenv.Must(t, err)
		if len(batch) == 0 {
			return l.calls, false
		}
		testenv.Must(t, p.Process(t.Context(), batch))
	}
}

func TestTheWorkerExitsAtItsCrashPoint(t *testing.T) {
	for _, c := range []struct {
		at     crashPoint
		after  uint32
		calls  []string
		exited bool
	}{
		{crashNever, 0, []string{"record 1", "ack 1", "record 2", "ack 2"}, false},
		{crashAfterRead, 0, nil, true},
		{crashAfterRead, 1, []string{"record 1", "ack 1"}, true},
		{crashAfterRead, 2, []string{"record 1", "ack 1", "record 2", "ack 2"}, false},
		{crashAfterCommit, 0, []string{"record 1"}, true},
		{crashAfterCommit, 1, []string{"record 1", "ack 1", "record 2"}, true},
		{crashBeforeAck, 0, []string{"record 1"}, true},
		{crashBeforeAck, 1, []string{"record 1", "ack 1", "record 2"}, true},
	} {
		calls, exited := work(t, c.at, c.after, batches{batch("1"), batch("2")})
		if !slices.Equal(calls, c.calls) || exited != c.exited {
			t.Errorf("%q after %d: %q, exited: %v; want %q, %v", c.at, c.after, calls, exited, c.calls, c.exited)
		}
	}
}

func TestEmptyReadsAndFailedCommitsAreNoPasses(t *testing.T) {
	exit := func() { t.Error("exited") }
	_, err := crashingSource{&batches{}, newCrasher(crashAfterRead, 0, exit)}.Next(t.Context(), 10, true)
	if err != nil {
		t.Error(err)
	}
	failing := crashingRecorder{&ledger{downFrom: 1}, newCrasher(crashAfterCommit, 0, exit)}
	if _, err := failing.Record(t.Context(), nil); !errors.Is(err, errDown) {
		t.Error(err)
	}
}

func TestConsumersCountTheirPassesTogether(t *testing.T) {
	exits := 0
	c := newCrasher(crashBeforeAck, 3, func() { exits++ })
	l := &ledger{}
	consumers := []crashingAcker{{l, c}, {l, c}}
	for i := range 4 {
		if err := consumers[i%2].Ack(t.Context(), nil); err != nil || exits != i/3 {
			t.Fatalf("pass %d: %v, %d exits", i+1, err, exits)
		}
	}
}
