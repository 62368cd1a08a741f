package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"petvote/infra/testenv"
	"petvote/infra/voters"
	"petvote/shared/ballot"
)

// narrow gives connections the smallest buffers possible, so that little is sent to a client that does not read.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		err = tcp.SetWriteBuffer(1)
	}
	return c, err
}

func dialNarrow(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var set error
		err := raw.Control(func(fd uintptr) {
			set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1)
		})
		return errors.Join(err, set)
	}}
	return d.DialContext(ctx, network, address)
}

// follow reads a viewer's pushes and returns the last one.
func follow(t *testing.T, server string, transport voters.Transport) *atomic.Pointer[ballot.Counts] {
	t.Helper()
	shown, done := new(atomic.Pointer[ballot.Counts]), make(chan struct{})
	ctx, leave := context.WithCancel(context.Background())
	t.Cleanup(func() { leave(); <-done })
	go func() {
		defer close(done)
		_ = transport(ctx, server, func(c ballot.Counts) { shown.Store(&c) }) // ends with ctx
	}()
	return shown
}

// stall opens a viewer of each kind that reads nothing.
func stall(t *testing.T, server string) {
	t.Helper()
	stream, err := dialNarrow(t.Context(), "tcp", strings.TrimPrefix(server, "http://"))
	testenv.Must(t, err)
	client := &http.Client{Transport: &http.Transport{DialContext: dialNarrow}}
	socket := dialSocketIO(t, server, &websocket.DialOptions{HTTPClient: client})
	t.Cleanup(func() { _ = stream.Close(); _ = socket.CloseNow() })
	_, err = io.WriteString(stream, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	testenv.Must(t, errors.Join(err, socket.Write(t.Context(), websocket.MessageText, []byte("40"))))
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestViewersThatStopReadingDelayNobodyAndPileUpNothing(t *testing.T) {
	testenv.Slow(t)
	h := newHub(100_000)
	publish(h, ballot.Counts{})
	sockets := newSocketServer(h, socketSettings)
	stopping, stop := context.WithCancel(context.Background())
	mux := http.NewServeMux()
	streams := &sseHandler{hub: h, sampled: newSampledViewers(nil), stopping: stopping}
	mux.Handle("GET /events", streams)
	mux.Handle("/socket.io/", sockets)
	server := httptest.NewUnstartedServer(mux)
	server.Listener = narrow{server.Listener}
	server.Start()
	t.Cleanup(func() {
		stop()
		streams.streams.Wait()
		if err := sockets.Close(context.Background()); err != nil {
			t.Error(err)
		}
		server.Close()
	})

	const live, stalled = 5, 20
	var readers []*atomic.Pointer[ballot.Counts]
	for range live {
		readers = append(readers, follow(t, server.URL, voters.SSE), follow(t, server.URL, voters.SocketIO))
	}
	for range stalled {
		stall(t, server.URL)
	}
	var pushed int64
	push := func(n int) {
		for range n {
			pushed++
			publish(h, dogs(pushed))
		}
		within(t, 5*time.Second, func() error {
			for _, r := range readers {
				if got := r.Load(); got == nil || *got != dogs(pushed) {
					return fmt.Errorf("a viewer that reads shows %+v, want %d", got, pushed)
				}
			}
			return nil
		})
	}
	within(t, 5*time.Second, viewers(h, transportSocketIO, live+stalled))
	for range 1000 { // one by one, so that each is sent while there is room, and beyond
		push(1)
	}
	before := heap()
	for range 100 {
		push(1000) // 7 MB for each viewer
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("%d bytes piled up", grown)
	}
	within(t, 2*writeWithin, viewers(h, transportSSE, live)) // the stalled ones are disconnected
	push(1)
}

// viewers returns an error unless the hub has that many viewers.
func viewers(h *hub, transport string, want int64) func() error {
	return func() error {
		if connected, _, _, _ := h.audience(); connected[transport] != want {
			return fmt.Errorf("%d viewers by %s, want %d", connected[transport], transport, want)
		}
		return nil
	}
}

// within repeats check until it succeeds, or fails the test after the limit.
func within(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
