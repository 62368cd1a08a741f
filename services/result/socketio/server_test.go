package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestAHandshakeOpensASessionOnBothTransports(t *testing.T) {
	r := newReplica(t, 300*time.Millisecond, 200*time.Millisecond)
	c := &client{t: t}
	packets := map[string]string{"websocket": c.want(200, r, http.MethodGet, "")}
	packets[""], _ = dial(t, r, nil).next()
	for upgrade, packet := range packets {
		var got map[string]any
		if err := json.Unmarshal([]byte(packet[1:]), &got); err != nil || packet[0] != '0' {
			t.Fatalf("%q: %v", packet, err)
		}
		want := map[string]any{
			"sid": got["sid"], "upgrades": []any{}, "pingInterval": 300.0, "pingTimeout": 200.0, "maxPayload": 1e6,
		}
		if upgrade != "" {
			want["upgrades"] = []any{upgrade}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestRequestsAreRefusedWithTheProtocolsErrors(t *testing.T) {
	r := newReplica(t, slow, quick)
	of := func(s sid) string { return "&sid=" + s.String() }
	for _, c := range []struct{ method, query, want string }{
		{"GET", "EIO=4", errTransport}, {"GET", "EIO=4&transport=abc", errTransport},
		{"GET", "EIO=4&transport=webtransport", errTransport}, {"OPTIONS", "", errTransport},
		{"GET", "transport=polling", errVersion}, {"GET", "EIO=3&transport=polling", errVersion},
		{"GET", "EIO=abc&transport=websocket", errVersion}, {"GET", "EIO=5&transport=polling", errVersion},
		{"POST", "EIO=4&transport=polling", errMethod}, {"PUT", "EIO=4&transport=polling", errMethod},
		{"OPTIONS", "EIO=4&transport=polling", errMethod},
		{"GET", "EIO=4&transport=websocket", errRequest},
		{"GET", "EIO=4&transport=polling&sid=abc", errSession}, {"POST", "EIO=4&transport=polling&sid=abc", errSession},
		{"GET", "EIO=4&transport=polling" + of(sid{randomID(), r.server.process, unconnected}), errSession},
		{"PUT", "EIO=4&transport=polling&sid=" + open(t, r).sid, errRequest},
	} {
		status, got, err := exchange(t.Context(), c.method, r.url+"/socket.io/?"+c.query, nil)
		if err != nil || status != http.StatusBadRequest || got != c.want {
			t.Errorf("%s %s: %d %s %v, want %s", c.method, c.query, status, got, err, c.want)
		}
	}
}

func TestAPollWaitsForTheAnswerToConnectAndThenForChanges(t *testing.T) {
	r := newReplica(t, slow, quick)
	c := open(t, r)
	c.post(r, "40")
	c.poll(r)
	if c.connect != 1 || !slices.Equal(c.totals, []int64{1}) {
		t.Errorf("at first %d answers to CONNECT, totals %v", c.connect, c.totals)
	}
	for total := int64(2); total < 5; total++ {
		pushed := r.whilePolling(func() { r.push(total) })
		for c.seen() != total { // the first polls are short
			c.poll(r)
		}
		pushed()
	}
	for total := int64(5); total < 100; total++ { // nobody polls
		r.push(total)
	}
	c.poll(r)
	if want := []int64{1, 2, 3, 4, 99}; c.connect != 1 || !slices.Equal(c.totals, want) {
		t.Errorf("%d answers to CONNECT, totals %v, want %v", c.connect, c.totals, want)
	}
	r.push(50) // as after restoring a backup
	c.poll(r)
	if c.seen() != 50 {
		t.Errorf("total %d, want 50", c.seen())
	}
	c.post(r, "41")
	r.push(51)
	c.post(r, "40")
	c.poll(r)
	if c.connect != 2 || c.seen() != 51 {
		t.Errorf("connected again: %d answers, total %d", c.connect, c.seen())
	}
}

// The rules of the protocols' test suites, which need no echo of messages.
func TestPollingKeepsTheProtocolsRules(t *testing.T) {
	const interval, timeout = 300 * time.Millisecond, 2 * time.Second
	for name, check := range map[string]func(*replica, *client){
		"ping and pong": func(r *replica, c *client) {
			for range 3 {
				if got := c.want(200, r, "GET", ""); got != "2" {
					c.t.Errorf("polled %q, want a ping", got)
				}
				c.post(r, "3")
			}
		},
		"no sign of life": func(r *replica, c *client) {
			time.Sleep(interval + timeout)
		},
		"close": func(r *replica, c *client) {
			defer r.whilePolling(func() { c.post(r, "1") })()
			if got := c.want(200, r, "GET", ""); got != "6" {
				c.t.Errorf("polled %q, want a noop", got)
			}
		},
		"two polls": func(r *replica, c *client) {
			defer r.whilePolling(func() {
				if status, _ := c.do(r, "GET", ""); status != 400 {
					c.t.Errorf("the second poll: %d", status)
				}
			})()
			if got := c.want(200, r, "GET", ""); got != "1" {
				c.t.Errorf("polled %q, want a close", got)
			}
		},
		"a cancelled poll": func(r *replica, c *client) {
			ctx, cancel := context.WithCancel(c.t.Context())
			defer r.whilePolling(cancel)()
			if _, _, err := exchange(ctx, "GET", r.url+path+"polling&sid="+c.sid, nil); err == nil {
				c.t.Error("the poll was answered")
			}
		},
		"two posts": func(r *replica, c *client) {
			body, sending := io.Pipe()
			var posting sync.WaitGroup
			defer posting.Wait()
			defer sending.Close()
			posting.Go(func() { _, _, _ = exchange(c.t.Context(), "POST", r.url+path+"polling&sid="+c.sid, body) })
			if _, err := sending.Write([]byte("3\x1e3\x1e")); err != nil {
				c.t.Fatal(err)
			}
			r.await(func(ss *session[*state]) bool { return ss.posted })
			c.want(400, r, "POST", "3")
		},
		"no pong": func(r *replica, c *client) {
			for n := 0; n < 20 && c.want(200, r, "GET", "") != "1"; n++ {
			}
		},
		"no packet":          func(r *replica, c *client) { c.want(400, r, "POST", "") },
		"a bad packet":       func(r *replica, c *client) { c.want(400, r, "POST", "abc") },
		"a late one":         func(r *replica, c *client) { c.want(400, r, "POST", "3\x1eabc") },
		"a ping":             func(r *replica, c *client) { c.want(400, r, "POST", "2") },
		"binary data":        func(r *replica, c *client) { c.want(400, r, "POST", "bAQIDBA==") },
		"a long packet":      func(r *replica, c *client) { c.want(400, r, "POST", "40"+strings.Repeat(" ", maxPacket)) },
		"a long body":        func(r *replica, c *client) { c.want(400, r, "POST", strings.Repeat("3\x1e", maxPayload)) },
		"a long namespace":   func(r *replica, c *client) { c.want(400, r, "POST", "40/"+strings.Repeat("a", 100)) },
		"refusals":           func(r *replica, c *client) { c.want(400, r, "POST", strings.Repeat("40/a\x1e", 1000)) },
		"upgrade by polling": func(r *replica, c *client) { c.want(400, r, "POST", "5") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReplica(t, interval, timeout)
			c := open(t, r)
			check(r, c)
			if name != "ping and pong" {
				c.want(400, r, "GET", "")
			}
		})
	}
}

func TestManyPacketsMayComeAtOnce(t *testing.T) {
	r := newReplica(t, slow, quick)
	c := open(t, r)
	c.post(r, strings.Repeat(`3`+"\x1e", maxPayload/2-10)+"40")
	c.post(r, `42["hello"]`+"\x1e"+`421["with an acknowledgement that nobody sends"]`+"\x1e6")
	c.poll(r)
	if c.connect != 1 {
		t.Error("not connected")
	}
}

func TestOtherNamespacesAreRefused(t *testing.T) {
	r := newReplica(t, slow, quick)
	const want = `44/admin,{"message":"Invalid namespace"}`
	c := open(t, r)
	c.post(r, `40/admin,{"token":"123"}`)
	c.poll(r)
	s := dial(t, r, nil)
	s.open()
	s.send("40/admin")
	s.wantNext(want)
	s.send("40")
	packet, _ := s.next()
	s.read(packet)
	if !slices.Equal(c.other, []string{want}) || c.connect != 0 || s.connect != 1 {
		t.Errorf("%q, %d connected; then %d", c.other, c.connect, s.connect)
	}
}

func TestAWebSocketGetsTheTallyAtOnceAndItsChanges(t *testing.T) {
	r := newReplica(t, slow, quick)
	s := dial(t, r, nil)
	s.open()
	s.send("40", "3", "6", `42["ignored"]`, `421["ignored"]`, "431[]")
	receive := func() {
		t.Helper()
		packet, _ := s.next()
		s.read(packet)
	}
	receive()
	for total := int64(1); total < 5; total++ {
		receive()
		if s.connect != 1 || s.seen() != total {
			t.Fatalf("%d answers to CONNECT, totals %v", s.connect, s.totals)
		}
		r.push(total + 1)
	}
	receive()
	s.send("41", "40") // the tally comes again
	receive()
	receive()
	if s.connect != 2 || s.seen() != 5 || len(s.totals) != 6 || s.other != nil {
		t.Errorf("%d answers to CONNECT, totals %v, others %q", s.connect, s.totals, s.other)
	}
	s.send("1")
	s.wantClosed(websocket.StatusNormalClosure)
}

func TestWebSocketsKeepTheProtocolsRules(t *testing.T) {
	const interval, timeout = 300 * time.Millisecond, 2 * time.Second
	bad := func(packets ...string) func(*socket) {
		return func(s *socket) { s.send(packets...); s.wantClosed(websocket.StatusProtocolError) }
	}
	for name, check := range map[string]func(*socket){
		"ping and pong": func(s *socket) {
			for range 3 {
				s.wantNext("2")
				s.send("3")
			}
		},
		"no pong":           func(s *socket) { s.wantNext("2"); s.wantClosed(websocket.StatusNormalClosure) },
		"close":             func(s *socket) { s.send("1"); s.wantClosed(websocket.StatusNormalClosure) },
		"an unknown packet": bad("abc"),
		"an unknown type":   bad("40", "4abc"),
		"invalid UTF-8":     bad("40", "42[\"\xff\"]"),
		"a bad CONNECT":     bad("4abc"),
		"fragments": func(s *socket) {
			w, err := s.conn.Writer(s.t.Context(), websocket.MessageText)
			for range 2 * maxPacket {
				_, more := w.Write([]byte(" "))
				err = errors.Join(err, more)
			}
			if err != nil {
				s.t.Fatal(err)
			}
			s.wantClosed(websocket.StatusMessageTooBig)
		},
		"no array":         bad("40", "42{}"),
		"no id":            bad("40", `42abc["message-with-ack",1]`),
		"a binary event":   bad("40", `452-["message",{"_placeholder":true,"num":0}]`),
		"no CONNECT first": bad(`42["a"]`),
		"a probe":          bad("2probe"),
		"an upgrade":       bad("5"),
		"a long packet": func(s *socket) {
			s.send(strings.Repeat(" ", maxPacket+1))
			s.wantClosed(websocket.StatusMessageTooBig)
		},
		"binary data": func(s *socket) {
			if err := s.conn.Write(s.t.Context(), websocket.MessageBinary, []byte("40")); err != nil {
				s.t.Fatal(err)
			}
			s.wantClosed(websocket.StatusProtocolError)
		},
		"left": func(s *socket) { // no more events, but still pings
			s.send("40", "41")
			for packet := ""; packet != "2"; packet, _ = s.next() {
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := dial(t, newReplica(t, interval, timeout), nil)
			s.open()
			check(s)
		})
	}
}

// A client that waits for the answer before it listens would miss an event that comes along with it.
func TestTheAnswerToConnectIsAlone(t *testing.T) {
	ss := session[*state]{Server: newReplica(t, slow, quick).server, websocket: true}
	ss.take(packet{"40", mainNamespace})
	begin := ss.now()
	first, next := ss.due(&state{1})
	var second [][]byte
	for second == nil {
		time.Sleep(next - ss.now())
		second, next = ss.due(&state{1})
	}
	if len(first) != 1 || len(second) != 1 || ss.now() < begin+eventDelay {
		t.Errorf("%q, then after %v %q", first, ss.now()-begin, second)
	}
}

func TestAWebSocketThatDoesNotConnectIsClosed(t *testing.T) {
	if testing.Short() {
		t.Skip("waits 5 s")
	}
	t.Parallel()
	s := dial(t, newReplica(t, slow, quick), nil)
	s.open()
	s.wantClosed(websocket.StatusNormalClosure)
}

func TestASessionIsUpgradedFromPollingToAWebSocket(t *testing.T) {
	r := newReplica(t, slow, quick)
	c := open(t, r)
	c.post(r, "40")
	c.poll(r)
	s := dial(t, r, c)
	s.send("2probe")
	s.wantNext("3probe")
	if got := c.want(200, r, "GET", ""); got != "6" {
		t.Errorf("polled %q, want a noop", got)
	}
	s.send("5")
	r.push(2)
	packet, _ := s.next()
	s.read(packet)
	if c.connect != 1 || !slices.Equal(c.totals, []int64{1, 2}) {
		t.Errorf("%d answers to CONNECT, totals %v", c.connect, c.totals)
	}
	c.want(400, r, "GET", "") // the session polls no more
	if packet, status := dial(t, r, c).next(); packet != "" {
		t.Errorf("a second websocket: %q, %v", packet, status)
	}
	r.push(3)
	s.wantNext(`42["current_votes",3]`)
}

// An upgraded session waits for CONNECT, and what no poll has sent comes by the websocket.
func TestAnUpgradeLosesNothing(t *testing.T) {
	const refusal = `44/admin,{"message":"Invalid namespace"}`
	for _, posted := range []string{"40/admin\x1e40", "40/admin", ""} {
		r := newReplica(t, slow, quick)
		c := open(t, r)
		s := dial(t, r, c)
		s.send("2probe")
		s.wantNext("3probe")
		if posted != "" {
			c.post(r, posted)
		}
		s.send("5")
		if posted != "" {
			s.wantNext(refusal)
		}
		if !strings.HasSuffix(posted, "40") {
			s.send("40")
		}
		packet, _ := s.next()
		s.read(packet)
		packet, _ = s.next()
		if s.read(packet); c.connect != 1 || c.seen() != 1 || c.other != nil {
			t.Errorf("%q: %d answers to CONNECT, totals %v, others %q", posted, c.connect, c.totals, c.other)
		}
	}
}

func TestAnUpgradeNeedsAProbeAndALivingSession(t *testing.T) {
	r := newReplica(t, slow, quick)
	unprobed, closed, bad := open(t, r), open(t, r), open(t, r)
	s := dial(t, r, unprobed)
	s.send("5")
	s.wantClosed(websocket.StatusNormalClosure)
	s = dial(t, r, closed)
	closed.post(r, "1")
	s.send("2probe")
	s.wantClosed(websocket.StatusNormalClosure)
	s = dial(t, r, bad)
	s.send("40")
	s.wantClosed(websocket.StatusNormalClosure)
	bad.post(r, "40") // it goes on polling
	bad.poll(r)
}

func TestTooManyViewersAreRefused(t *testing.T) {
	r := newReplica(t, slow, quick)
	r.limit = 1
	c := open(t, r)
	first := dial(t, r, nil)
	first.open()
	c.want(503, r, "GET", "")
	_, resp, err := websocket.Dial(t.Context(), r.url+path+"websocket", nil)
	if err == nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a second viewer: %v", err)
	}
	first.send("1")
	first.wantClosed(websocket.StatusNormalClosure)
	for deadline := time.Now().Add(5 * time.Second); r.viewers() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	c.post(r, "40")
	c.poll(r)
}

func TestAClientThatDoesNotTakePartInTheCloseIsCutOff(t *testing.T) {
	r := newReplica(t, slow, quick)
	for range 5 {
		s := dial(t, r, nil) // reads nothing from here on
		s.send("40")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // less than the library's own limit
	defer cancel()
	if err := r.server.Close(ctx); err != nil {
		t.Error(err)
	}
}

// A session whose poll waits is not among those that make room.
func TestAFloodOfHandshakesTakesNoMemoryAndEndsNoPoll(t *testing.T) {
	r := newReplica(t, slow, quick)
	c := open(t, r)
	c.post(r, "3") // so that its poll is long
	flooded := r.whilePolling(func() {
		for range maxSessions + 100 {
			r.server.mu.Lock()
			r.server.add(sid{id: randomID()})
			r.server.mu.Unlock()
		}
		r.server.mu.Lock()
		n := len(r.server.sessions)
		r.server.mu.Unlock()
		if n > maxSessions {
			t.Errorf("%d sessions", n)
		}
		c.post(r, "40")
	})
	c.poll(r)
	flooded()
	if c.connect != 1 || c.seen() != 1 {
		t.Errorf("polled %q", c.other)
	}
}

func TestAStopEndsEverySession(t *testing.T) {
	r := newReplica(t, slow, quick)
	c, s := open(t, r), dial(t, r, nil)
	s.open()
	defer r.whilePolling(r.server.Stop)()
	if got := c.want(200, r, "GET", ""); got != "1" {
		t.Errorf("polled %q, want a close", got)
	}
	s.wantClosed(websocket.StatusGoingAway)
}
