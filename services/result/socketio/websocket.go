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
	raw := upgraded.conn
	// The request ends here, and nothing below refers to it: the HTTP server holds 10 KB for one.
	s.websockets.Go(func() {
		defer leave()
		status := s.follow(conn, polls, mailbox)
		defer time.AfterFunc(closeTimeout, func() { _ = raw.Close() }).Stop() // conn would wait for longer
		_ = conn.Close(status, "")                                            // an error means that the client is gone
	})
}

// follow serves a session until it ends. It returns how to close the connection.
func (s *Server[F]) follow(conn *websocket.Conn, polls *session[F], mailbox <-chan F) websocket.StatusCode {
	open := s.openPacket(sid{randomID(), s.process, unconnected}, "")
	ss := &session[F]{Server: s, since: s.now(), pinged: s.now(), posted: true, queue: [][]byte{open}}
	if polls != nil && !s.upgrade(conn, polls, ss) {
		return websocket.StatusNormalClosure
	}
	ss.websocket, ss.wake = true, make(chan struct{}, 1)
	status := websocket.StatusNormalClosure
	s.websockets.Go(func() {
		for open := true; open; {
			p, err := read(context.Background(), conn)
			s.mu.Lock()
			if err != nil {
				ss.last = closePacket
			} else if !ss.take(p) {
				ss.last, status = closePacket, websocket.StatusProtocolError
			}
			open = ss.last == nil
			ss.alert()
			s.mu.Unlock()
		}
	})
	ss.run(ss.due, mailbox, nil, func(packets [][]byte) bool {
		for _, p := range packets {
			if conn.Write(context.Background(), websocket.MessageText, p) != nil {
				return false
			}
		}
		return true
	})
	if s.stopping.Err() != nil {
		return websocket.StatusGoingAway
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return status
}

func read(ctx context.Context, conn *websocket.Conn) (p packet, err error) {
	kind, data, err := conn.Read(ctx)
	if kind == websocket.MessageText {
		p = parse(data)
	}
	return p, err
}

// upgrade tests the websocket for a session that polls. If it succeeds, the session has left polling for the other.
func (s *Server[F]) upgrade(conn *websocket.Conn, polls, ss *session[F]) bool {
	// The client waits for the end of its poll before it goes on.
	ctx, cancel := context.WithTimeout(s.stopping, s.pingInterval+s.pingTimeout)
	defer cancel()
	probe := func(on bool) (alive bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		polls.probing = on
		polls.alert()
		return polls.last == nil
	}
	defer probe(false)
	if p, _ := read(ctx, conn); p.kind != "2probe" || !probe(true) {
		return false
	}
	_ = conn.Write(ctx, websocket.MessageText, probePacket) // after an error read fails
	p, _ := read(ctx, conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.kind != "5" || polls.last != nil {
		return false
	}
	*ss = *polls
	s.end(polls, noopPacket)
	ss.since = s.now()
	if s.others.Load() && !ss.acked {
		ss.acked, ss.owed = true, false // any of them has answered CONNECT
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
