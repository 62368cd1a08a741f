package votestore

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"petvote/infra/testenv"
	"petvote/infra/wait"
)

// hangingConn sends what is left and then hangs, like that of a frozen worker, until it is resumed.
type hangingConn struct {
	net.Conn
	left    *atomic.Int64 // bytes
	resumed chan struct{}
}

func (c hangingConn) Write(b []byte) (n int, err error) {
	if missing := -c.left.Add(-int64(len(b))); missing > 0 {
		if n, err = c.Conn.Write(b[:max(0, len(b)-int(missing))]); err != nil {
			return n, err
		}
		<-c.resumed
	}
	rest, err := c.Conn.Write(b[n:])
	return n + rest, err
}

// A worker may be frozen, or cut off, at any moment, and whoever claims its entries must be able to store them.
func TestAWorkerThatHangsHoldsUpNobody(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	s := newStore(t)
	const plenty = 1 << 40
	// hangs has a worker hang when it has sent a share of a batch, but for a few bytes.
	hangs := func(name string, size int, share float64, but int64) {
		conn := hangingConn{left: new(atomic.Int64), resumed: make(chan struct{})}
		conn.left.Store(plenty)
		cfg, err := DatabaseURL(s.pool.Config().ConnString()).parse(2)
		testenv.Must(t, err)
		cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialed, err := new(net.Dialer).DialContext(ctx, network, addr)
			return hangingConn{dialed, conn.left, conn.resumed}, err
		}
		pool, err := newPool(t.Context(), cfg)
		testenv.Must(t, err)
		defer pool.Close()
		worker := &Store{pool: pool, schema: s.schema, copySlot: make(chan struct{}, 1)}
		record(t, worker, newBatch(size)...) // describes the statements
		conn.left.Store(plenty)
		record(t, worker, newBatch(size)...)
		conn.left.Store(int64(float64(plenty-conn.left.Load())*share) - but)

		batch, ended := newBatch(size), make(chan bool)
		go func() { _, _ = worker.Record(context.Background(), batch); close(ended) }()
		err = wait.Until(t.Context(), 20*time.Second, func(context.Context) error {
			if conn.left.Load() >= 0 {
				return errors.New("the worker does not hang yet")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := s.Record(ctx, batch)
			return err
		})
		close(conn.resumed)
		<-ended
		if out := record(t, s, batch...); err != nil || out != (counts{Redelivered: size}) {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	var hanging sync.WaitGroup
	hanging.Go(func() { hangs("inserted, all but the end of the message", copyFrom-1, 1, 1) })
	hanging.Go(func() { hangs("copied, the first half", copyFrom, 0.5, 0) })
	hanging.Go(func() { hangs("copied, all but the last byte", copyFrom, 1, 1) })
	hanging.Go(func() { hangs("copied, three of three thousand rows are missing", 3000, 1, 200) })
	hanging.Wait()
	if got := tally(t, s).Total(); got != 3*(copyFrom-1+2*copyFrom+3000) {
		t.Errorf("tally %d", got)
	}
}
