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
	// restBeforeShed is how long a connection must have been without a request before it may be closed for another.
	// A request on its way to it has arrived by then.
	restBeforeShed = 500 * time.Millisecond
	// slotWait is how long a new connection waits for a slot before an answer has to end its connection.
	slotWait = 10 * time.Millisecond
)

// connections is a listener that bounds the number of open connections, and decides which of them have to end once
// another waits for a slot; until then none has to. Those without a request, half-open ones too, are closed first, the
// longest resting before the others. If all are busy, every slotWait one answer says "Connection: close". So neither
// idle nor busy connections keep others out. One connection is held while it waits; more wait in the kernel.
type connections struct {
	net.Listener
	most    int
	free    chan struct{} // a connection has ended
	closed  chan struct{}
	close   func() error
	yield   atomic.Bool // the next answer ends its connection
	warning rate.Sometimes

	mu      sync.Mutex
	open    int
	resting *list.List // of *limitedConn, the longest resting first
}

func limitConnections(l net.Listener, most int) *connections {
	c := &connections{
		Listener: l, most: most, free: make(chan struct{}, 1), closed: make(chan struct{}), resting: list.New(),
		warning: rate.Sometimes{First: 1, Interval: time.Minute},
	}
	c.close = sync.OnceValue(func() error { close(c.closed); return l.Close() })
	return c
}

// limitedConn occupies a slot until it is closed.
type limitedConn struct {
	net.Conn
	release func()
	rest    *list.Element // its place among the resting connections; nil while it has a request
	since   time.Time     // when the rest began
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
		l.yield.Store(true)
		l.shed()
	}
	if err != nil {
		return nil, err
	}
	for !l.takeSlot() {
		select {
		case <-l.free:
		case <-time.After(slotWait):
			l.yield.Store(true)
		case <-l.closed:
			_ = conn.Close()
			return nil, net.ErrClosed
		}
	}
	l.yield.Store(false)
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
		l.shed()
	}
	return free
}

// shed closes the connection that has rested the longest, if that is long enough.
func (l *connections) shed() {
	l.mu.Lock()
	longest := l.resting.Front()
	if longest == nil || time.Since(longest.Value.(*limitedConn).since) < restBeforeShed {
		l.mu.Unlock()
		return
	}
	c := longest.Value.(*limitedConn)
	l.setResting(c, false)
	l.mu.Unlock()
	_ = c.Close()
}

// yielding lets one answer end its connection when its slot is needed.
func (l *connections) yielding(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.yield.Load() && l.yield.CompareAndSwap(true, false) {
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
	l.setResting(conn.(*limitedConn), state == http.StateNew || state == http.StateIdle)
}

// setResting moves a connection to the end of the resting ones or out of them. The caller holds the lock.
func (l *connections) setResting(c *limitedConn, resting bool) {
	if c.rest != nil {
		l.resting.Remove(c.rest)
		c.rest = nil
	}
	if resting {
		c.since = time.Now()
		c.rest = l.resting.PushBack(c)
	}
}
