package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// crashPoint names a moment at which the worker can be told to die, as if it were killed there: with nothing cleaned up.
// It is how the promise that nothing is lost is put to the test where it matters most.
type crashPoint string

// The moments: with entries in hand; with their effect durable; and just before telling Redis so.
const (
	crashNever       crashPoint = ""
	crashAfterRead   crashPoint = "after-read"
	crashAfterCommit crashPoint = "after-commit"
	crashBeforeAck   crashPoint = "before-ack"
)

// UnmarshalText refuses other names.
func (c *crashPoint) UnmarshalText(text []byte) error {
	switch v := crashPoint(text); v {
	case crashNever, crashAfterRead, crashAfterCommit, crashBeforeAck:
		*c = v
		return nil
	}
	return errors.New("not a crash point (after-read, after-commit or before-ack)")
}

// crasher dies when the chosen point has been passed a number of times.
type crasher struct {
	at     crashPoint
	passes *atomic.Int64 // left before it happens
	die    func()
}

func newCrasher(at crashPoint, after uint32, die func()) crasher {
	c := crasher{at: at, passes: new(atomic.Int64), die: die}
	c.passes.Store(int64(after))
	return c
}

func (c crasher) reach(p crashPoint) {
	if c.at == p && c.passes.Add(-1) < 0 {
		slog.Warn("crashing as told", "at", string(p))
		c.die()
	}
}

type crashingSource struct {
	source
	crasher
}

func (s crashingSource) Next(ctx context.Context) ([]votestream.Delivery, error) {
	batch, err := s.source.Next(ctx)
	if len(batch) > 0 {
		s.reach(crashAfterRead)
	}
	return batch, err
}

type crashingRecorder struct {
	recorder
	crasher
}

func (r crashingRecorder) Record(ctx context.Context, entries []votestore.Entry) (votestore.Outcome, error) {
	out, err := r.recorder.Record(ctx, entries)
	if err == nil {
		r.reach(crashAfterCommit)
	}
	return out, err
}

type crashingAcker struct {
	acker
	crasher
}

func (s crashingAcker) Ack(ctx context.Context, entryIDs []string) error {
	s.reach(crashBeforeAck)
	return s.acker.Ack(ctx, entryIDs)
}
