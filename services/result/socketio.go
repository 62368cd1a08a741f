package main

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"
)

const (
	// pollWithin bounds a polling request. It exceeds the server's own limit for an answer, because the library may hold
	// a poll for its ping (25 s) and pong (20 s) times.
	pollWithin    = time.Minute
	maxMessage    = 4 << 10         // bytes; viewers only connect and disconnect
	connectWithin = 5 * time.Second // from opening a connection to the viewer's connect packet
	closeWithin   = time.Second     // for the last answers to polls
)

// socketServer answers /socket.io/ (protocol version 4) from the event stream's hub. Only this file knows the library.
type socketServer struct {
	io          *socket.Server
	handler     http.Handler
	requests    context.Context // ends every request
	endRequests context.CancelFunc
}

func newSocketServer(h *hub) *socketServer {
	options := socket.DefaultServerOptions()
	options.SetServeClient(false)
	options.SetMaxHttpBufferSize(maxMessage)
	options.SetConnectTimeout(connectWithin)
	options.SetParser(viewerParser{parser.NewParser()})
	s := &socketServer{io: socket.NewServer(nil, options)}
	s.requests, s.endRequests = context.WithCancel(context.Background())
	s.handler = s.io.ServeHandler(options)
	_ = s.io.Engine().On("connection", func(args ...any) {
		if conn, ok := args[0].(engine.Socket); ok {
			closeWithSession(conn)
		}
	})
	// On fails only for reserved names.
	_ = s.io.On("connection", func(args ...any) {
		if client, ok := args[0].(*socket.Socket); ok {
			pushToSocket(h, client)
		}
	})
	return s
}

// viewerParser decodes only connect and disconnect packets. It drops all others: nothing listens to them, and an event
// without a name makes the library panic, which would end the process.
type viewerParser struct{ parser.Parser }

func (p viewerParser) NewDecoder() parser.Decoder { return viewerDecoder{p.Parser.NewDecoder()} }

type viewerDecoder struct{ parser.Decoder }

func (d viewerDecoder) Add(data any) error {
	text, ok := data.(*types.StringBuffer)
	if !ok || text.Len() == 0 {
		return nil
	}
	switch parser.PacketType(text.Bytes()[0]) {
	case parser.CONNECT, parser.DISCONNECT:
		return d.Decoder.Add(data)
	}
	return nil
}

// closeWithSession closes a session's websocket when the session ends. If the viewer closed the session, the library
// would leave its end open until garbage collection, and the viewer would wait for that.
func closeWithSession(conn engine.Socket) {
	hangUp := func(...any) {
		if t := conn.Transport(); t.Name() == transports.WEBSOCKET {
			go t.DoClose(nil) // not here: it waits for the close listeners, and this may be one
		}
	}
	_ = conn.Once("close", hangUp)
	if conn.ReadyState() == "closed" {
		hangUp() // it closed before the listener was added
	}
}

// pushToSocket sends frames while the client is connected. It waits until the transport has taken one before it hands
// the library another, so that nothing piles up there and the newest frame waits in the mailbox.
func pushToSocket(h *hub, client *socket.Socket) {
	conn := client.Conn()
	gone := make(chan struct{})
	end := sync.OnceFunc(func() { close(gone) })
	taken := make(chan struct{}, 1)
	onEnd := func(...any) { end() }
	onDrain := func(...any) {
		select {
		case taken <- struct{}{}:
		default:
		}
	}
	_ = client.Once("disconnect", onEnd)
	_ = conn.Once("close", onEnd)
	_ = conn.On("drain", onDrain)
	if !client.Connected() || conn.ReadyState() != "open" {
		end() // it left before the listeners were added
	}
	v := h.join(transportSocketIO)
	go func() {
		defer h.leave(v)
		defer client.Disconnect(false) // else the library keeps a client that left while connecting
		defer conn.RemoveListener("close", onEnd)
		defer conn.RemoveListener("drain", onDrain) // the connection may outlive its socket and get another
		for {
			select {
			case <-gone:
				return
			case f := <-v.mailbox:
				select {
				case <-taken: // an earlier packet
				default:
				}
				if err := client.Emit(pushEvent, f.counts); err != nil {
					return
				}
			}
			select {
			case <-gone:
				return
			case <-taken:
			}
		}
	}()
}

func (s *socketServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pollWithin)
	defer cancel()
	defer context.AfterFunc(s.requests, cancel)()
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(pollWithin + writeWithin)); err != nil {
		http.Error(w, "this connection can't be held open", http.StatusInternalServerError)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxMessage)
	listening := make(chan struct{})
	defer close(listening)
	s.handler.ServeHTTP(gate{w, listening}, r.WithContext(ctx))
}

// gate delays reading from a websocket until the handler has returned. The library reads before it has added its
// listeners: an early connect would be lost, and an early pong would make it panic.
type gate struct {
	http.ResponseWriter
	open <-chan struct{}
}

func (g gate) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(g.ResponseWriter).Hijack()
	return gatedConn{conn, g.open}, buffers, err
}

type gatedConn struct {
	net.Conn
	open <-chan struct{}
}

func (c gatedConn) Read(b []byte) (int, error) {
	<-c.open
	return c.Conn.Read(b)
}

// disconnect ends every session, so that its poll is answered. Soon afterwards it ends the requests that the library
// leaves unanswered.
func (s *socketServer) disconnect() {
	s.io.Close(nil)
	time.AfterFunc(closeWithin, s.endRequests)
}

// Close disconnects every client and waits until the library is done or ctx ends.
func (s *socketServer) Close(ctx context.Context) error {
	defer s.endRequests()
	done := make(chan error, 1)
	go s.io.Close(func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
