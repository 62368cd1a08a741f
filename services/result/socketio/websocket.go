package socketio

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

const closeTimeout = time.Second // for the closing handshake

var acceptAny = &websocket.AcceptOptions{InsecureSkipVerify: true} // pages of any origin may show the tally

// viewer is a client by websocket.
type viewer[F Frame] struct {
	*Server[F]
	conn    *websocket.Conn
	hangUp  func() error // closes the connection at once, which conn does not do once it is closing
	mailbox <-chan F
	in      chan packet // closed when the connection is
	done    chan struct{}
}

// serveWebSocket opens a session or, if it polls, tests a websocket for it.
func (s *Server[F]) serveWebSocket(w http.ResponseWriter, r *http.Request, polls *session[F]) {
	mailbox, leave, err := s.join()
	if err != nil {
		refuseFull(w)
		return
	}
	upgraded := &lean{ResponseWriter: w}
	conn, err := websocket.Accept(upgraded, r, acceptAny)
	if err != nil {
		leave()
		return // Accept has answered
	}
	conn.SetReadLimit(maxPacket)
	v := &viewer[F]{s, conn, upgraded.conn.Close, mailbox, make(chan packet), make(chan struct{})}
	// The request ends here, so that a viewer does not keep the memory that the HTTP server holds for one.
	s.websockets.Go(v.read)
	s.websockets.Go(func() {
		defer leave()
		v.run(polls)
	})
}

// read ends when the connection does.
func (v *viewer[F]) read() {
	defer close(v.in)
	for {
		kind, data, err := v.conn.Read(context.Background())
		if err != nil {
			return
		}
		var p packet
		if kind == websocket.MessageText {
			p = parse(data)
		}
		select {
		case v.in <- p:
		case <-v.done:
			return
		}
	}
}

func (v *viewer[F]) run(polls *session[F]) {
	defer close(v.done)
	ss := session[F]{Server: v.Server, websocket: true, since: v.now(), pinged: v.now()}
	ss.queue = [][]byte{v.openPacket(sid{randomID(), v.process, unconnected}, "")}
	status := websocket.StatusNormalClosure
	if polls == nil || v.upgrade(polls, &ss) {
		status = v.follow(&ss)
	}
	defer time.AfterFunc(closeTimeout, func() { _ = v.hangUp() }).Stop()
	_ = v.conn.Close(status, "") // an error means that the client is gone
}

// follow serves a session until it ends. It returns how to close the connection.
func (v *viewer[F]) follow(ss *session[F]) websocket.StatusCode {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var newest F
	for {
		packets, next := ss.due(newest)
		if ss.last != nil || !v.send(packets...) {
			return websocket.StatusNormalClosure
		}
		timer.Reset(next - v.now())
		select {
		case p, open := <-v.in:
			if open && !ss.take(p) {
				return websocket.StatusProtocolError
			}
			if !open {
				return websocket.StatusNormalClosure
			}
		case newest = <-v.mailbox:
		case <-timer.C:
		case <-v.stopping.Done():
			return websocket.StatusGoingAway
		}
	}
}

func (v *viewer[F]) send(packets ...[]byte) bool {
	for _, p := range packets {
		if v.conn.Write(context.Background(), websocket.MessageText, p) != nil {
			return false
		}
	}
	return true
}

// upgrade tests the websocket for a session that polls. If it succeeds, the session has left polling for the other.
func (v *viewer[F]) upgrade(polls, ss *session[F]) bool {
	timeout := time.NewTimer(v.pingInterval + v.pingTimeout) // the client waits for the end of its poll
	defer timeout.Stop()
	receive := func(want string) bool {
		select {
		case p := <-v.in:
			return p.kind == want
		case <-timeout.C:
		case <-v.stopping.Done():
		}
		return false
	}
	probe := func(on bool) (alive bool) {
		v.mu.Lock()
		defer v.mu.Unlock()
		polls.probing = on
		polls.alert()
		return polls.last == nil
	}
	defer probe(false)
	if !receive("2probe") || !probe(true) || !v.send(probePacket) || !receive("5") {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if polls.last != nil {
		return false
	}
	*ss = *polls
	v.end(polls, noopPacket)
	ss.websocket, ss.since = true, v.now()
	if !ss.acked { // then another process has answered CONNECT, unless it came here or no poll went there
		ss.acked, ss.owed = true, !v.others.Load() && (ss.owed || ss.polled)
	}
	return true
}

// lean gives an upgraded connection small buffers, where the HTTP server's hold 8 KB for each viewer, and each write a
// deadline.
type lean struct {
	http.ResponseWriter
	conn net.Conn
}

func (l *lean) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(l.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, _ := buffers.Reader.Peek(buffers.Reader.Buffered())
	reader := bufio.NewReaderSize(bytes.NewReader(early), max(len(early), 256))
	_, _ = reader.Peek(len(early)) // Accept keeps what is buffered
	l.conn = timedConn{conn}
	return l.conn, bufio.NewReadWriter(reader, bufio.NewWriterSize(l.conn, 256)), nil
}

type timedConn struct{ net.Conn }

func (c timedConn) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // fails on a closed connection, as will the write
	return c.Conn.Write(b)
}
