package lifecycle

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener in memory. Unlike the real network it lets faked time pass.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
	close   func()
}

func newPipes() *pipes {
	p := &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.waiting:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }

var errRefused = errors.New("connection refused")

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.waiting <- server:
		return client, nil
	case <-p.closed:
		return nil, errRefused
	}
}

// running is a server that runs in faked time, and its client.
type running struct {
	*Server
	client *http.Client
	stop   context.CancelFunc
	ended  chan error
}

const (
	drainDelay     = 500 * time.Millisecond
	idleTimeout    = 150 * time.Second
	maxConnections = 3
)

// run starts a server with one route of its own, /work, beside /readyz.
func run(t *testing.T, work http.HandlerFunc, onDrain func()) *running {
	t.Helper()
	listener, health, mux := newPipes(), NewHealth(nil), http.NewServeMux()
	mux.HandleFunc("GET /readyz", health.Ready)
	mux.HandleFunc("GET /work", work)
	transport := &http.Transport{DialContext: listener.dial}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{
		Server: &Server{Listener: listener, Handler: mux, Health: health, DrainDelay: drainDelay, OnDrain: onDrain,
			IdleTimeout: idleTimeout, MaxConnections: maxConnections},
		client: &http.Client{Transport: transport}, stop: cancel, ended: make(chan error, 1),
	}
	t.Cleanup(transport.CloseIdleConnections)
	go func() { r.ended <- r.Run(ctx) }()
	return r
}

// wantEnd checks that the server ends without an error.
func (r *running) wantEnd(t *testing.T) {
	t.Helper()
	if err := <-r.ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// wantLateEnd checks that the server ends although the drain has waited in vain, for connections without a request.
func (r *running) wantLateEnd(t *testing.T) {
	t.Helper()
	if err := <-r.ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
}

type reply struct {
	status int
	body   string
	last   bool // the connection closes after it
	err    error
}

func (r *running) get(path string) reply {
	resp, err := r.client.Get("http://memory" + path)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, string(body), resp.Close, err}
}

// begin sends a request and returns once the server works on it.
func (r *running) begin(path string) <-chan reply {
	answer := make(chan reply, 1)
	go func() { answer <- r.get(path) }()
	synctest.Wait()
	return answer
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestReadinessTurnsBeforeTheListenerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, hello, nil)
		if got := r.get("/readyz"); got.status != 200 || got.last {
			t.Errorf("before: %+v", got)
		}
		r.stop()
		synctest.Wait()
		if got := r.get("/readyz"); got.status != 503 || !got.last {
			t.Errorf("readiness while draining: %+v, want 503 and the connection's end", got)
		}
		time.Sleep(drainDelay - time.Millisecond)
		if got := r.get("/work"); got.status != 200 || got.body != "hello" || !got.last {
			t.Errorf("a request before callers have noticed: %+v, want an answer and the connection's end", got)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if got := r.get("/work"); !errors.Is(got.err, errRefused) {
			t.Errorf("a request after that: %+v, want it refused", got)
		}
		r.wantEnd(t)
	})
}

func TestARequestInProgressIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(drainDelay + drainTimeout/2)
			if err := r.Context().Err(); err != nil {
				t.Errorf("the request was cancelled: %v", err)
			}
			hello(w, r)
		}, nil)
		answer := r.begin("/work")
		r.stop()
		r.wantEnd(t)
		if got := <-answer; got.status != 200 || got.body != "hello" {
			t.Errorf("answer %+v", got)
		}
	})
}

func TestStreamsAreEndedOnceNoRequestIsTakenAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams, end := context.WithCancel(context.Background())
		r := run(t, func(w http.ResponseWriter, _ *http.Request) {
			hello(w, nil)
			_ = http.NewResponseController(w).Flush()
			<-streams.Done()
		}, end)
		answer := r.begin("/work")
		start := time.Now()
		r.stop()
		time.Sleep(drainDelay - time.Millisecond)
		if streams.Err() != nil {
			t.Error("streams were ended while requests were still taken")
		}
		r.wantEnd(t)
		if took := time.Since(start); took > drainDelay+time.Second {
			t.Errorf("took %v: the stream held up the stop", took)
		}
		if got := <-answer; got.body != "hello" || got.err != nil {
			t.Errorf("the stream's end: %+v", got)
		}
	})
}

func TestTheDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil)
		answer := r.begin("/work")
		start := time.Now()
		r.stop()
		err := <-r.ended
		if took := time.Since(start); took != drainDelay+drainTimeout {
			t.Errorf("took %v, want %v", took, drainDelay+drainTimeout)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "drain: ") {
			t.Errorf("ended with %v", err)
		}
		if got := <-answer; got.err == nil {
			t.Errorf("the request that hangs got %+v", got)
		}
	})
}

func TestAServerThatCanNotServeSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, hello, nil)
		synctest.Wait()
		_ = r.Listener.Close()
		if err := <-r.ended; !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "serve: ") {
			t.Errorf("ended with %v", err)
		}
		r.stop()
	})
}
