package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"petvote/infra/testenv"
	"petvote/infra/wait"
)

func TestMain(m *testing.M) {
	os.Exit(testenv.Main(m))
}

// state is what the tests push.
type state struct{ total int64 }

func (s *state) Event() []byte { return fmt.Appendf(nil, `42["current_votes",%d]`, s.total) }
func (s *state) Total() int64  { return s.total }

// feed pushes states to its viewers, as the results' hub does.
type feed struct {
	mu        sync.Mutex
	newest    *state
	mailboxes map[chan *state]bool
	limit     int
}

func newFeed(total int64) *feed {
	return &feed{newest: &state{total}, mailboxes: map[chan *state]bool{}, limit: 1000}
}

func (f *feed) join() (<-chan *state, func(), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.mailboxes) == f.limit {
		return nil, nil, errors.New("full")
	}
	mailbox := make(chan *state, 1)
	mailbox <- f.newest
	f.mailboxes[mailbox] = true
	return mailbox, func() { f.mu.Lock(); defer f.mu.Unlock(); delete(f.mailboxes, mailbox) }, nil
}

func (f *feed) push(total int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.newest = &state{total}
	for mailbox := range f.mailboxes {
		select {
		case <-mailbox:
		default:
		}
		mailbox <- f.newest
	}
}

func (f *feed) viewers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.mailboxes)
}

// replica is a server and what it pushes.
type replica struct {
	*feed
	server *Server[*state]
	url    string
}

const (
	slow  = 25 * time.Second // the defaults
	quick = 20 * time.Second
)

func newReplica(t *testing.T, interval, timeout time.Duration) *replica {
	t.Helper()
	f := newFeed(1)
	s := New(interval, timeout, f.join)
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Stop()
		server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		if n := f.viewers(); n != 0 {
			t.Errorf("%d viewers are left", n)
		}
	})
	return &replica{f, s, server.URL}
}

// whilePolling does something while a client's poll waits at the replica. The caller calls the returned function
// after the poll.
func (r *replica) whilePolling(do func()) (wait func()) {
	var doing sync.WaitGroup
	doing.Go(func() {
		r.await(func(ss *session[*state]) bool { return ss.polling })
		do()
	})
	return doing.Wait
}

// await waits for a session of which something is true.
func (r *replica) await(is func(*session[*state]) bool) {
	_ = wait.Until(context.Background(), 20*time.Second, func(context.Context) error {
		r.server.mu.Lock()
		defer r.server.mu.Unlock()
		for _, ss := range r.server.sessions {
			if is(ss) {
				return nil
			}
		}
		return errors.New("no such session")
	})
}

// exchange sends a request to a replica. Each has a connection of its own.
func exchange(ctx context.Context, method, url string, body io.Reader) (status int, answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return 0, "", err
	}
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(all), err
}

const path = "/socket.io/?EIO=4&transport="

// client is a session, each of whose requests may go to another replica. It does as the official client does.
type client struct {
	t       *testing.T
	sid     string
	connect int     // answers to CONNECT
	totals  []int64 // the pushes
	other   []string
}

func open(t *testing.T, r *replica) *client {
	t.Helper()
	c := &client{t: t}
	c.read(c.want(200, r, http.MethodGet, ""))
	if c.sid == "" {
		t.Fatal("no session")
	}
	return c
}

func (c *client) do(r *replica, method, body string) (int, string) {
	c.t.Helper()
	url := r.url + path + "polling"
	if c.sid != "" {
		url += "&sid=" + c.sid
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	status, answer, err := exchange(ctx, method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	return status, answer
}

func (c *client) want(status int, r *replica, method, body string) string {
	c.t.Helper()
	got, answer := c.do(r, method, body)
	if got != status {
		c.t.Fatalf("%s %q: %d %s, want %d", method, body, got, answer, status)
	}
	return answer
}

// read takes the packets of a payload or a frame.
func (c *client) read(payload string) {
	c.t.Helper()
	for packet := range strings.SplitSeq(payload, "\x1e") {
		var total int64
		switch {
		case strings.HasPrefix(packet, "0"):
			var session struct{ SID string }
			if err := json.Unmarshal([]byte(packet[1:]), &session); err != nil {
				c.t.Fatalf("%q: %v", packet, err)
			}
			c.sid = session.SID
		case strings.HasPrefix(packet, `40{"sid":"`):
			c.connect++
		case strings.HasPrefix(packet, "42"):
			if err := json.Unmarshal([]byte(packet[2:]), &[]any{new(string), &total}); err != nil {
				c.t.Fatalf("%q: %v", packet, err)
			}
			c.totals = append(c.totals, total)
		default:
			c.other = append(c.other, packet)
		}
	}
}

func (c *client) poll(r *replica)              { c.t.Helper(); c.read(c.want(200, r, http.MethodGet, "")) }
func (c *client) post(r *replica, body string) { c.t.Helper(); c.want(200, r, http.MethodPost, body) }

// seen returns the last total.
func (c *client) seen() int64 {
	if len(c.totals) == 0 {
		return 0
	}
	return c.totals[len(c.totals)-1]
}

// socket is a websocket, with a client's session or without.
type socket struct {
	*client
	conn *websocket.Conn
}

func dial(t *testing.T, r *replica, c *client) *socket {
	t.Helper()
	address := "ws" + strings.TrimPrefix(r.url, "http") + path + "websocket"
	if c == nil {
		c = &client{t: t}
	} else {
		address += "&sid=" + c.sid
	}
	offer := &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover}
	conn, resp, err := websocket.Dial(t.Context(), address, offer)
	if err != nil {
		t.Fatal(err)
	}
	if taken := resp.Header.Get("Sec-WebSocket-Extensions"); taken != "" {
		t.Errorf("frames may be compressed: %s", taken)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{c, conn}
}

func (s *socket) send(packets ...string) {
	s.t.Helper()
	for _, p := range packets {
		if err := s.conn.Write(s.t.Context(), websocket.MessageText, []byte(p)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// next returns the next packet, or how the connection was closed.
func (s *socket) next() (string, websocket.StatusCode) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	_, data, err := s.conn.Read(ctx)
	if ctx.Err() != nil {
		s.t.Fatal("nothing came")
	}
	return string(data), websocket.CloseStatus(err)
}

func (s *socket) wantNext(want string) {
	s.t.Helper()
	if got, status := s.next(); got != want {
		s.t.Fatalf("got %q, closed %v, want %q", got, status, want)
	}
}

func (s *socket) wantClosed(want websocket.StatusCode) {
	s.t.Helper()
	for {
		switch _, got := s.next(); got {
		case -1: // a packet
			continue
		case want:
			return
		default:
			s.t.Fatalf("closed with %v, want %v", got, want)
		}
	}
}

// open reads the open packet.
func (s *socket) open() {
	s.t.Helper()
	packet, _ := s.next()
	s.read(packet)
	if s.sid == "" {
		s.t.Fatalf("%q instead of an open packet", packet)
	}
}
