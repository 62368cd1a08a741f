package voters

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"petvote/infra/wait"
	"petvote/shared/ballot"
)

// reconnectPause is the pause before a viewer whose connection ended connects again.
const reconnectPause = 200 * time.Millisecond

// Transport follows one connection to its end and shows each push.
type Transport func(ctx context.Context, base string, show func(ballot.Counts)) error

// SSE follows server-sent events.
func SSE(ctx context.Context, base string, show func(ballot.Counts)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/events", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	wanted := false
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		switch field, value, _ := bytes.Cut(lines.Bytes(), []byte(": ")); {
		case string(field) == "event":
			wanted = string(value) == "current_votes"
		case string(field) == "data" && wanted:
			var counts ballot.Counts
			if err := json.Unmarshal(value, &counts); err != nil {
				return err
			}
			show(counts)
		}
	}
	return lines.Err()
}

// SocketIO follows Socket.IO by a websocket. See https://socket.io/docs/v4/engine-io-protocol for the packets.
func SocketIO(ctx context.Context, base string, show func(ballot.Counts)) error {
	url := "ws" + strings.TrimPrefix(base, "http") + "/socket.io/?EIO=4&transport=websocket"
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	send := func(packet string) error { return conn.Write(ctx, websocket.MessageText, []byte(packet)) }
	if err := send("40"); err != nil { // connect
		return err
	}
	for {
		_, message, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		if string(message) == "2" { // ping
			if err := send("3"); err != nil {
				return err
			}
		}
		packet, isEvent := strings.CutPrefix(string(message), "42")
		if !isEvent {
			continue
		}
		var name string
		var counts ballot.Counts
		if err := json.Unmarshal([]byte(packet), &[]any{&name, &counts}); err != nil {
			return err
		}
		if name == "current_votes" {
			show(counts)
		}
	}
}

// Viewer is an open results page: it remembers the pushes, and whether a number ever fell.
type Viewer struct {
	start     time.Time
	following sync.WaitGroup

	mu         sync.Mutex
	pushes     []Push
	last, most ballot.Counts
	backwards  int
}

// Push is a total and the time when it was seen, in seconds since the start.
type Push struct {
	At    float64
	Total int64
}

// NewViewer opens the page of the result service at base, http://host:port, and keeps it open until ctx is done,
// connecting again as often as it takes.
func NewViewer(ctx context.Context, base string, transport Transport, start time.Time) *Viewer {
	v := &Viewer{start: start}
	v.following.Go(func() {
		for ctx.Err() == nil {
			_ = transport(ctx, base, v.show) // the end of the service, or of ctx
			_ = wait.For(ctx, reconnectPause)
		}
	})
	return v
}

// Wait returns when the page is closed.
func (v *Viewer) Wait() { v.following.Wait() }

func (v *Viewer) show(counts ballot.Counts) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fell := false
	for _, pet := range ballot.Choices() {
		before, now := v.most.Of(pet), counts.Of(pet)
		fell = fell || now < before
		v.most.Add(pet, max(now-before, 0))
	}
	if fell {
		v.backwards++
	}
	v.last = counts
	v.pushes = append(v.pushes, Push{time.Since(v.start).Seconds(), counts.Total()})
}

// Shown is the last push, as ledger.Prove wants it.
func (v *Viewer) Shown(context.Context) (ballot.Counts, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last, nil
}

// Pushes are those so far, and the number of them in which a count was lower than in one before. The caller must not
// change them.
func (v *Viewer) Pushes() (pushes []Push, backwards int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.pushes[:len(v.pushes):len(v.pushes)], v.backwards
}
