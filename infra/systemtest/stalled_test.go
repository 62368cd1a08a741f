package systemtest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"petvote/infra/voters"
	"petvote/shared/ballot"
)

// watch opens a page in this process.
func (r *rig) watch(transport voters.Transport) *voters.Viewer {
	ctx, leave := context.WithCancel(context.Background())
	v := voters.NewViewer(ctx, r.Result.URL(""), transport, r.ledger.Began)
	r.t.Cleanup(func() { leave(); v.Wait() })
	return v
}

// dialSocket connects by websocket, as far as the service's answer.
func (r *rig) dialSocket() *websocket.Conn {
	r.t.Helper()
	conn, resp, err := websocket.DefaultDialer.DialContext(r.t.Context(), "ws"+strings.TrimPrefix(r.Result.URL("/socket.io/?EIO=4&transport=websocket"), "http"), nil)
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

// stallSSE asks for the stream and reads none of it.
func (r *rig) stallSSE() {
	r.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.Result.Port))
	r.must(err)
	r.t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	r.must(err)
}

func TestViewersThatStopReadingHoldUpNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shown(ballot.Counts{})
	var watchers []*voters.Viewer
	for range 25 {
		watchers = append(watchers, r.watch(voters.SSE), r.watch(voters.SocketIO))
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
	const votes = 15
	round := func() map[string]float64 {
		for range votes {
			r.votes(ballot.Dogs)
			want.Dogs++
			r.elapse(110 * time.Millisecond) // so that each vote has a push of its own
		}
		r.eventually(func() error {
			for _, w := range watchers {
				if c, _ := w.Shown(t.Context()); c != want {
					return fmt.Errorf("a viewer is shown %+v, want %+v", c, want)
				}
			}
			return nil
		})
		return scrape(t, r.Result)
	}
	before := round() // fills what each connection buffers
	var after map[string]float64
	for range 3 {
		after = round()
	}
	grown := func(metric string) float64 { return after[metric] - before[metric] }
	pushes, stalled := grown("petvote_pushes_total"), 10.0 // of the stalled only those that poll fill up with so few pushes
	if pushes < votes || grown("petvote_pushes_conflated_total") < pushes*stalled/2 {
		t.Errorf("of %v pushes %v were conflated, want those to the ten that no longer poll", pushes,
			grown("petvote_pushes_conflated_total"))
	}
	// Were a goroutine or a frame left behind for each push to a viewer that stalls, this would be some hundreds. The test
	// beside the service's code looks at the memory.
	if grown("go_goroutine_count") > pushes {
		t.Errorf("%v goroutines more", grown("go_goroutine_count"))
	}
}
