package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

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

// watcher is a viewer on a real connection.
type watcher struct {
	shown atomic.Pointer[string] // the last counts it read
	done  chan struct{}
}

// watchOn reads events from a connection until hangUp, if it reads at all. next returns the data of the next event, or
// ends the reading.
func watchOn(t *testing.T, reads bool, next func() (data string, ok bool), hangUp func() error) *watcher {
	t.Helper()
	w := &watcher{done: make(chan struct{})}
	t.Cleanup(func() { _ = hangUp(); <-w.done })
	go func() {
		defer close(w.done)
		for reads {
			data, ok := next()
			if !ok {
				return
			}
			if strings.HasPrefix(data, "{") {
				w.shown.Store(&data)
			}
		}
	}()
	return w
}

func watchSSE(t *testing.T, server string, reads bool) *watcher {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: dialNarrow, DisableKeepAlives: true, ReadBufferSize: 1}}
	resp, err := client.Get(server + "/events")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(resp.Body)
	return watchOn(t, reads, func() (string, bool) {
		ok := lines.Scan()
		return strings.TrimPrefix(lines.Text(), "data: "), ok
	}, resp.Body.Close)
}

func watchSocketIO(t *testing.T, server string, reads bool) *watcher {
	t.Helper()
	conn := dialSocketIO(t, &websocket.Dialer{NetDialContext: dialNarrow}, server)
	if err := conn.WriteMessage(websocket.TextMessage, []byte("40")); err != nil {
		t.Fatal(err)
	}
	return watchOn(t, reads, func() (string, bool) {
		_, message, err := conn.ReadMessage()
		return strings.TrimSuffix(strings.TrimPrefix(string(message), `42["`+pushEvent+`",`), "]"), err == nil
	}, conn.Close)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestViewersThatStopReadingDelayNobodyAndPileUpNothing(t *testing.T) {
	h := newHub()
	publish(h, ballot.Counts{})
	sockets := newSocketServer(h)
	stopping, stop := context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.Handle("GET /events", &sseHandler{h, newSampledViewers(nil), stopping})
	mux.Handle("/socket.io/", sockets)
	server := httptest.NewUnstartedServer(mux)
	server.Listener = narrow{server.Listener}
	server.Start()
	t.Cleanup(func() {
		stop()
		if err := sockets.Close(context.Background()); err != nil {
			t.Error(err)
		}
		server.Close()
	})

	const live, stalled = 5, 20
	var readers []*watcher
	for range live {
		readers = append(readers, watchSSE(t, server.URL, true), watchSocketIO(t, server.URL, true))
	}
	for range stalled {
		watchSSE(t, server.URL, false)
		watchSocketIO(t, server.URL, false)
	}
	var pushed int64
	push := func(n int) {
		for range n {
			pushed++
			publish(h, dogs(pushed))
		}
		want := fmt.Sprintf(`{"dogs":%d,"cats":0,"lizards":0}`, pushed)
		within(t, 5*time.Second, func() error {
			for _, r := range readers {
				if got := r.shown.Load(); got == nil || *got != want {
					return fmt.Errorf("a viewer that reads does not show %s", want)
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
		if n := h.audience().Viewers[transport]; n != want {
			return fmt.Errorf("%d viewers by %s, want %d", n, transport, want)
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
