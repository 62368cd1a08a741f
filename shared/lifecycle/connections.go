package lifecycle

import (
	"container/list"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

const (
	// minIdle is how long a connection must have been idle before it may be closed for another. A request on its way to
	// it has arrived by then.
	minIdle = 500 * time.Millisecond
	// slotWait is how long a new connection waits for a slot before an answer has to end its connection.
	slotWait = 10 * time.Millisecond
)

// connections is a listener that bounds the number of open connections, and decides which of them have to end once
// another waits for a slot; until then none has to. Idle ones, which have no request and may be half-open, are closed
// first, the longest idle before the others. If all are busy, every slotWait one answer says "Connection: close". So
// neither idle nor busy connections keep others out. One connection is held while it waits; more wait in the kernel.
type connections struct {
	net.Listener
	most    int
	free    chan struct{} // a connection has ended
	closed  chan struct{}
	close   func() error
	shed    atomic.Bool // the next answer ends its connection
	warning rate.Sometimes

	mu   sync.Mutex
	open int
	idle *list.List // of *limitedConn, the longest idle first
}

func limitConnections(l net.Listener, most int) *connections {
	c := &connections{
		Listener: l, most: most, free: make(chan struct{}, 1), closed: make(chan struct{}), idle: list.New(),
		warning: rate.Sometimes{First: 1, Interval: time.Minute},
	}
	c.close = sync.OnceValue(func() error { close(c.closed); return l.Close() })
	return c
}

// limitedConn occupies a slot until it is closed.
type limitedConn struct {
	net.Conn
	release func()
	place   *list.Element // among the idle connections; nil while it has a request
	since   time.Time     // it has been idle
}

func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

func (l *connections) Close() error { return l.close() }

// Accept must not be called by several goroutines at once. The server repeats it after an error.
func (l *connections) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) { // the limit is the process's or the host's
		l.shed.Store(true)
		l.shedIdle()
	}
	if err != nil {
		return nil, err
	}
	for !l.takeSlot() {
		select {
		case <-l.free:
		case <-time.After(slotWait):
			l.shed.Store(true)
		case <-l.closed:
			_ = conn.Close()
			return nil, net.ErrClosed
		}
	}
	l.shed.Store(false)
	return &limitedConn{Conn: conn, release: sync.OnceFunc(l.release)}, nil
}

// takeSlot takes a slot, or closes a connection to free one.
func (l *connections) takeSlot() bool {
	l.mu.Lock()
	free := l.open < l.most
	if free {
		l.open++
	}
	l.mu.Unlock()
	if !free {
		l.warning.Do(func() {
			slog.Warn("connection limit reached; MAX_CONNECTIONS sets the public port's",
				"address", l.Addr().String(), "limit", l.most)
		})
		l.shedIdle()
	}
	return free
}

// shedIdle closes the connection that has been idle the longest, if that is long enough.
func (l *connections) shedIdle() {
	l.mu.Lock()
	longest := l.idle.Front()
	if longest == nil || time.Since(longest.Value.(*limitedConn).since) < minIdle {
		l.mu.Unlock()
		return
	}
	c := longest.Value.(*limitedConn)
	l.setIdle(c, false)
	l.mu.Unlock()
	_ = c.Close()
}

// shedding lets one answer end its connection when its slot is needed.
func (l *connections) shedding(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.shed.Load() && l.shed.CompareAndSwap(true, false) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func (l *connections) release() {
	l.mu.Lock()
	l.open--
	l.mu.Unlock()
	select {
	case l.free <- struct{}{}:
	default:
	}
}

// note is the server's ConnState hook.
func (l *connections) note(conn net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setIdle(conn.(*limitedConn), state == http.StateNew || state == http.StateIdle)
}

// setIdle moves a connection to the end of the idle ones or out of them. The caller holds the lock.
func (l *connections) setIdle(c *limitedConn, idle bool) {
	if c.place != nil {
		l.idle.Remove(c.place)
		c.place = nil
	}
	if idle {
		c.since = time.Now()
		c.place = l.idle.PushBack(c)
	}
}
