package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// startSocketIO serves a hub's pushes and returns the address.
func startSocketIO(t *testing.T, h *hub) string {
	t.Helper()
	sockets := newSocketServer(h)
	server := httptest.NewServer(sockets)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := sockets.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
		server.Close()
	})
	return server.URL
}

func dialSocketIO(t *testing.T, dialer *websocket.Dialer, server string) *websocket.Conn {
	t.Helper()
	address := "ws" + strings.TrimPrefix(server, "http") + "/socket.io/?EIO=4&transport=websocket"
	conn, resp, err := dialer.DialContext(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return conn
}

// poller is a Socket.IO client that polls: each request is one exchange, and a GET waits for packets.
type poller struct {
	t   *testing.T
	url string
}

func (p *poller) exchange(method, body string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %d %s, %v", method, resp.StatusCode, answer, err)
	}
	return string(answer)
}

// next returns the packets of one poll.
func (p *poller) next() []string {
	p.t.Helper()
	const separator = "\x1e"
	return strings.Split(p.exchange(http.MethodGet, ""), separator)
}

// connect opens a session and connects, see https://socket.io/docs/v4/socket-io-protocol/.
func connect(t *testing.T, h *hub) *poller {
	t.Helper()
	p := &poller{t, startSocketIO(t, h) + "/socket.io/?EIO=4&transport=polling"}
	open, ok := strings.CutPrefix(p.next()[0], "0")
	var session struct{ SID string }
	if err := json.Unmarshal([]byte(open), &session); !ok || err != nil || session.SID == "" {
		t.Fatalf("open packet %q, %v", open, err)
	}
	p.url += "&sid=" + session.SID
	if ack := p.exchange(http.MethodPost, "40"); ack != "ok" {
		t.Fatalf("connect: %q", ack)
	}
	return p
}

// push polls until there is an event, and returns it.
func (p *poller) push() string {
	p.t.Helper()
	for range 20 {
		for _, packet := range p.next() {
			if strings.HasPrefix(packet, "42") {
				return packet
			}
		}
	}
	p.t.Fatal("no event came")
	return ""
}

func TestSocketIOClientsGetTheTallyAtOnceAndItsChanges(t *testing.T) {
	h := newHub()
	publish(h, dogs(1))
	p := connect(t, h)
	for n := int64(1); n <= 3; n++ {
		publish(h, dogs(n))
		if got, want := p.push(), fmt.Sprintf(`42["current_votes",{"dogs":%d,"cats":0,"lizards":0}]`, n); got != want {
			t.Errorf("push %s, want %s", got, want)
		}
	}
	within(t, 5*time.Second, viewers(h, transportSocketIO, 1))
	p.exchange(http.MethodPost, "41") // disconnect
	within(t, 5*time.Second, viewers(h, transportSocketIO, 0))
}

func TestASocketIOClientThatDoesNotPollFindsNoBacklog(t *testing.T) {
	h := newHub()
	publish(h, dogs(1))
	p := connect(t, h)
	p.push()
	for n := int64(2); n <= 500; n++ {
		publish(h, dogs(n))
	}
	var got []string
	for range 3 { // one already sent, one waiting in the library, and the newest
		if got = append(got, p.push()); strings.Contains(got[len(got)-1], `"dogs":500,`) {
			return
		}
	}
	t.Errorf("the client got %q, want the newest among the first three", got)
}

func TestSocketIOHearsAViewerThatSpeaksAtOnce(t *testing.T) {
	server := startSocketIO(t, newHub())
	for range 200 {
		conn := dialSocketIO(t, websocket.DefaultDialer, server)
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		for _, packet := range []string{"3", "40"} { // a pong to no ping, and the connect
			if err := conn.WriteMessage(websocket.TextMessage, []byte(packet)); err != nil {
				t.Fatal(err)
			}
		}
		for answer := ""; !strings.HasPrefix(answer, "40"); {
			_, message, err := conn.ReadMessage()
			if err != nil {
				t.Fatalf("the connect is not answered: %v", err)
			}
			answer = string(message)
		}
		_ = conn.Close()
	}
}
