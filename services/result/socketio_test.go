package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// poller is a Socket.IO client that polls: each request is one exchange, and a request for news waits for some.
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

// connect shakes hands, as https://socket.io/docs/v4/socket-io-protocol/ says.
func connect(t *testing.T, h *hub) *poller {
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
	p := &poller{t, server.URL + "/socket.io/?EIO=4&transport=polling"}
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
	publish(t, h, dogs(1))
	p := connect(t, h)
	if got := p.push(); got != `42["current_votes",{"dogs":1,"cats":0,"lizards":0}]` {
		t.Errorf("at first %s", got)
	}
	for _, n := range []int64{2, 3} {
		publish(t, h, dogs(n))
		if got, want := p.push(), `42["current_votes",{"dogs":`+string('0'+rune(n))+`,"cats":0,"lizards":0}]`; got != want {
			t.Errorf("then %s, want %s", got, want)
		}
	}
	if n := h.audience().Viewers[transportSocketIO]; n != 1 {
		t.Errorf("%d viewers", n)
	}
}

func TestASocketIOClientThatDoesNotPollFindsNoBacklog(t *testing.T) {
	h := newHub()
	publish(t, h, dogs(1))
	p := connect(t, h)
	p.push()
	for n := int64(2); n <= 500; n++ {
		publish(t, h, dogs(n))
	}
	var got []string
	for range 3 { // one that was on its way, one that waited in the library, and the newest
		if got = append(got, p.push()); strings.Contains(got[len(got)-1], `"dogs":500,`) {
			return
		}
	}
	t.Errorf("the client got %q, want the newest among the first three", got)
}

func TestASocketIOClientThatLeavesIsNoViewer(t *testing.T) {
	h := newHub()
	publish(t, h, dogs(1))
	p := connect(t, h)
	p.push()
	p.exchange(http.MethodPost, "41")
	deadline := time.Now().Add(5 * time.Second)
	for h.audience().Viewers[transportSocketIO] != 0 {
		if time.Now().After(deadline) {
			t.Fatal("it is still counted")
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}

func TestSocketIOHearsAViewerThatSpeaksAtOnce(t *testing.T) {
	sockets := newSocketServer(newHub())
	server := httptest.NewServer(sockets)
	defer server.Close()
	defer func() {
		if err := sockets.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	for range 200 {
		conn, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
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
