package main

import (
	"bufio"
	"context"
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

// narrow gives connections the smallest buffers that the system has, so that little is sent to one that does not read.
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
		err := raw.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) })
		if err == nil {
			err = set
		}
		return err
	}}
	return d.DialContext(ctx, network, address)
}

// watcher is a viewer on a real connection; it shows what it read last.
type watcher struct {
	shown atomic.Pointer[string]
	done  chan struct{}
}

// readSSE opens the stream. Unless it reads on, it takes nothing after the header.
func readSSE(t *testing.T, server string, readsOn bool) *watcher {
	t.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{DialContext: dialNarrow, DisableKeepAlives: true, ReadBufferSize: 1}}).Get(server + "/events")
	if err != nil {
		t.Fatal(err)
	}
	r := &watcher{done: make(chan struct{})}
	t.Cleanup(func() { _ = resp.Body.Close(); <-r.done })
	if !readsOn {
		close(r.done)
		return r
	}
	go func() {
		defer close(r.done)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				r.shown.Store(&data)
			}
		}
	}()
	return r
}

func readSocket(t *testing.T, server string, readsOn bool) *watcher {
	t.Helper()
	conn, resp, err := (&websocket.Dialer{NetDialContext: dialNarrow}).DialContext(t.Context(), "ws"+strings.TrimPrefix(server, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte("40")); err != nil {
		t.Fatal(err)
	}
	r := &watcher{done: make(chan struct{})}
	t.Cleanup(func() { _ = conn.Close(); <-r.done })
	if !readsOn {
		close(r.done)
		return r
	}
	go func() {
		defer close(r.done)
		for {
			_, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if data, ok := strings.CutPrefix(string(message), `42["`+pushEvent+`",`); ok {
				data = strings.TrimSuffix(data, "]")
				r.shown.Store(&data)
			}
		}
	}()
	return r
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestViewersThatStopReadingHoldUpNobodyAndPileUpNothing(t *testing.T) {
	h := newHub()
	publish(t, h, ballot.Counts{})
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
		readers = append(readers, readSSE(t, server.URL, true), readSocket(t, server.URL, true))
	}
	for range stalled {
		readSSE(t, server.URL, false)
		readSocket(t, server.URL, false)
	}
	var pushed int64
	push := func(n int) {
		for range n {
			pushed++
			publish(t, h, dogs(pushed))
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
	viewers := func(transport string, want int64) func() error {
		return func() error {
			if n := h.audience().Viewers[transport]; n != want {
				return fmt.Errorf("%d viewers by %s, want %d", n, transport, want)
			}
			return nil
		}
	}
	within(t, 5*time.Second, viewers(transportSocketIO, live+stalled))
	for range 1000 { // one by one, so that they are sent as long as there is room, and then more
		push(1)
	}
	before := heap()
	for range 100 {
		push(1000) // 7 MB for each viewer
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("%d bytes piled up", grown)
	}
	within(t, 2*writeWithin, viewers(transportSSE, live)) // those that take nothing are cut off
	push(1)
}

// within asks until there is no error, or until the time is over.
func within(t *testing.T, limit time.Duration, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}
