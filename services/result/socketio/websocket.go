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

const (
	connectTimeout = 5 * time.Second // from a websocket's opening to CONNECT
	closeTimeout   = time.Second     // for the closing handshake
)

// viewer is a client by websocket. Only run uses it, and read its channels.
type viewer[F Frame] struct {
	*Server[F]
	conn        *websocket.Conn
	hangUp      func() error // closes the connection at once, which conn does not do once it is closing
	mailbox     <-chan F
	in          chan packet
	done        chan struct{}
	ping, limit *time.Timer // limit runs while CONNECT, a pong or an upgrade is awaited

	polls     *session[F] // the session by polling while a websocket is tested, else nil
	connected bool
	shown     F // the last frame sent
}

// serveWebSocket opens a session or, if it polls, tests a websocket for it.
func (s *Server[F]) serveWebSocket(w http.ResponseWriter, r *http.Request, polls *session[F]) {
	mailbox, leave, err := s.join()
	if err != nil {
		refuseFull(w)
		return
	}
	options := &websocket.AcceptOptions{InsecureSkipVerify: true} // pages of any origin may show the tally
	upgraded := &lean{ResponseWriter: w}
	conn, err := websocket.Accept(upgraded, r, options)
	if err != nil {
		leave()
		return // Accept has answered
	}
	conn.SetReadLimit(maxPacket)
	v := &viewer[F]{
		Server: s, conn: conn, hangUp: upgraded.conn.Close, mailbox: mailbox,
		in: make(chan packet), done: make(chan struct{}),
		ping: time.NewTimer(s.pingInterval), limit: time.NewTimer(connectTimeout), polls: polls,
	}
	// The request ends here, so that a viewer does not keep the memory that the HTTP server holds for one.
	s.websockets.Go(v.read)
	s.websockets.Go(func() {
		defer leave()
		v.run()
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

func (v *viewer[F]) run() {
	defer close(v.done)
	defer v.ping.Stop()
	defer v.limit.Stop()
	status := v.follow()
	if v.polls != nil {
		v.mu.Lock()
		v.polls.probing = false
		v.mu.Unlock()
	}
	defer time.AfterFunc(closeTimeout, func() { _ = v.hangUp() }).Stop()
	_ = v.conn.Close(status, "") // an error means that the client is gone
}

// follow sends frames and pings and answers packets until the session ends. It returns how to close the connection.
func (v *viewer[F]) follow() websocket.StatusCode {
	ok := true
	if v.polls == nil {
		ok = v.send(v.openPacket(sid{id: randomID(), process: v.process}, ""))
	} else {
		v.ping.Stop()
		v.limit.Reset(v.pingInterval + v.pingTimeout) // the client waits for the end of its poll
	}
	for ok {
		news := v.mailbox
		if !v.connected {
			news = nil
		}
		select {
		case p, open := <-v.in:
			if open && p.kind == "" {
				return websocket.StatusProtocolError
			}
			ok = open && v.take(p)
		case f := <-news:
			if f != v.shown {
				v.shown = f
				ok = v.send(f.Event())
			}
		case <-v.ping.C:
			v.limit.Reset(v.pingTimeout)
			ok = v.send(pingPacket)
		case <-v.limit.C:
			ok = false
		case <-v.stopping.Done():
			return websocket.StatusGoingAway
		}
	}
	return websocket.StatusNormalClosure
}

func (v *viewer[F]) send(packets ...[]byte) bool {
	for _, p := range packets {
		if v.conn.Write(context.Background(), websocket.MessageText, p) != nil {
			return false
		}
	}
	return true
}

// take returns false if the session must be closed.
func (v *viewer[F]) take(p packet) bool {
	switch {
	case v.polls != nil:
		packets, ok := v.upgrade(p)
		return ok && v.send(packets...)
	case p.kind == "3":
		v.limit.Stop()
		v.ping.Reset(v.pingInterval)
	case p.kind == "40" && p.namespace != mainNamespace:
		return v.send(connectErrorPacket(p.namespace))
	case p.kind == "40":
		v.limit.Stop()
		v.connected = true
		var none F
		if v.shown != none && len(v.mailbox) == 0 {
			return v.send(connectPacket(), v.shown.Event())
		}
		return v.send(connectPacket())
	case p.kind == "41":
		v.connected = false
		v.limit.Reset(connectTimeout)
	case p.kind == "42", p.kind == "43": // nobody listens
		return v.connected
	default:
		return p.kind == "6"
	}
	return true
}

// upgrade takes the packets of a client that tests a websocket. With the packet "5" the session leaves polling.
func (v *viewer[F]) upgrade(p packet) (packets [][]byte, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	ss := v.polls
	switch {
	case ss.last != nil:
	case p.kind == "2probe":
		ss.probing = true
		ss.alert()
		return [][]byte{probePacket}, true
	case p.kind == "5" && ss.probing:
		v.end(ss, noopPacket)
		v.polls, v.shown = nil, ss.shown
		v.limit.Stop()
		v.ping.Reset(time.Until(ss.pinged.Add(v.pingInterval)))
		packets = ss.refusals
		switch {
		case ss.acked, v.others.Load():
			v.connected = true // CONNECT was answered, perhaps by another process
		case ss.connected, ss.polled && !v.alone():
			v.connected = true
			packets = append(packets, connectPacket())
		default:
			v.connected = !v.alone()
		}
		return packets, true
	}
	return nil, false
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
