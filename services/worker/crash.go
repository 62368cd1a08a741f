package main

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"

	"petvote/shared/config"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// crashPoint is where fault injection makes the worker exit as if killed: no vote may be lost or counted twice.
type crashPoint string

const (
	crashNever       crashPoint = ""
	crashAfterRead   crashPoint = "after-read"
	crashAfterCommit crashPoint = "after-commit"
	crashBeforeAck   crashPoint = "before-ack"
)

// UnmarshalText refuses other names.
func (c *crashPoint) UnmarshalText(text []byte) error {
	return config.OneOf(c, text, crashAfterRead, crashAfterCommit, crashBeforeAck)
}

// crash exits with the status of a SIGKILL, which a container's first process can't send to itself.
func crash() { os.Exit(137) }

// crasher exits once its point has been passed a number of times by all consumers together.
type crasher struct {
	at     crashPoint
	passes *atomic.Int64 // left before the exit
	exit   func()
}

func newCrasher(at crashPoint, after uint32, exit func()) crasher {
	c := crasher{at: at, passes: new(atomic.Int64), exit: exit}
	c.passes.Store(int64(after))
	return c
}

func (c crasher) reach(p crashPoint) {
	if c.at == p && c.passes.Add(-1) < 0 {
		slog.Warn("fault injection: exiting", "at", string(p))
		c.exit()
	}
}

type crashingSource struct {
	source
	crasher
}

func (s crashingSource) Next(ctx context.Context, n int, wait bool) ([]votestream.Delivery, error) {
	batch, err := s.source.Next(ctx, n, wait)
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

func (a crashingAcker) Ack(ctx context.Context, entryIDs []string) error {
	a.reach(crashBeforeAck)
	return a.acker.Ack(ctx, entryIDs)
}
