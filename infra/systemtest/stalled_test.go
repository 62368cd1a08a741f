package systemtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"petvote/shared/ballot"
)

// watcher is a viewer in this process, which knows what it was last shown.
type watcher struct {
	*rig
	shown atomic.Pointer[ballot.Counts]
}

func (w *watcher) show(data string) {
	var c ballot.Counts
	if json.Unmarshal([]byte(data), &c) == nil {
		w.shown.Store(&c)
	}
}

func (r *rig) watchSSE() *watcher {
	r.t.Helper()
	w := &watcher{rig: r}
	resp, err := http.Get(r.result.url("/events"))
	r.must(err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				w.show(data)
			}
		}
	}()
	r.t.Cleanup(func() { _ = resp.Body.Close(); <-ended })
	return w
}

// dialSocket connects by websocket, as far as the service's answer.
func (r *rig) dialSocket() *websocket.Conn {
	r.t.Helper()
	conn, resp, err := websocket.DefaultDialer.DialContext(r.t.Context(), "ws"+strings.TrimPrefix(r.result.url("/socket.io/?EIO=4&transport=websocket"), "http"), nil)
	r.must(err)
	_ = resp.Body.Close()
	r.t.Cleanup(func() { _ = conn.Close() })
	r.must(conn.WriteMessage(websocket.TextMessage, []byte("40")))
	for range 2 { // the opening of the session, and of the namespace
		_, _, err := conn.ReadMessage()
		r.must(err)
	}
	return conn
}

func (r *rig) watchSocket() *watcher {
	r.t.Helper()
	w := &watcher{rig: r}
	conn := r.dialSocket()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			_, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if string(message) == "2" {
				_ = conn.WriteMessage(websocket.TextMessage, []byte("3"))
			}
			if data, ok := strings.CutPrefix(string(message), `42["current_votes",`); ok {
				w.show(strings.TrimSuffix(data, "]"))
			}
		}
	}()
	r.t.Cleanup(func() { _ = conn.Close(); <-ended })
	return w
}

// stallSSE asks for the stream and reads none of it.
func (r *rig) stallSSE() {
	r.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.result.port))
	r.must(err)
	r.t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	r.must(err)
}

func TestViewersThatStopReadingHoldUpNobody(t *testing.T) {
	r := newRig(t)
	r.shown(ballot.Counts{})
	var watchers []*watcher
	for range 25 {
		watchers = append(watchers, r.watchSSE(), r.watchSocket())
	}
	for range 20 {
		r.stallSSE()
		r.dialSocket()
	}
	for range 10 {
		r.pollSocket() // polls no more
	}
	r.viewers("sse", 45)
	r.viewers("socket.io", 55)

	var want ballot.Counts
	round := func() map[string]float64 {
		for range 50 {
			r.votes(ballot.Dogs)
			want.Dogs++
			time.Sleep(110 * time.Millisecond) // so that each vote has a push of its own
		}
		r.eventually(2*time.Second, func() error {
			for _, w := range watchers {
				if c := w.shown.Load(); c == nil || *c != want {
					return fmt.Errorf("a viewer is shown %+v, want %+v", c, want)
				}
			}
			return nil
		})
		return scrape(t, r.result)
	}
	start := scrape(t, r.result)
	before := round()
	var after map[string]float64
	for range 5 {
		after = round()
	}
	if pushes := after["petvote_pushes_total"] - start["petvote_pushes_total"]; pushes < 270 {
		t.Errorf("%v pushes", pushes)
	}
	if conflated := after["petvote_pushes_conflated_total"] - before["petvote_pushes_conflated_total"]; conflated < 10*200 {
		t.Errorf("%v pushes were conflated, want those to the ten that no longer poll", conflated)
	}
	// The heap may double before it is collected; the test beside the service's code looks closer.
	if grown := after["go_memory_used_bytes"] - before["go_memory_used_bytes"]; grown > 10<<20 {
		t.Errorf("memory grew by %v bytes", grown)
	}
	if grown := after["go_goroutine_count"] - before["go_goroutine_count"]; grown > 20 {
		t.Errorf("%v goroutines more", grown)
	}
	t.Logf("memory %v → %v bytes, goroutines %v → %v, pushes conflated %v", before["go_memory_used_bytes"], after["go_memory_used_bytes"],
		before["go_goroutine_count"], after["go_goroutine_count"], after["petvote_pushes_conflated_total"])
}
