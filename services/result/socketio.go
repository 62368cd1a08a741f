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
	// pollWithin bounds a request by polling. The library answers each within the time of its ping (25 s) and of the pong
	// (20 s), which is longer than the server's own limit for an answer.
	pollWithin = time.Minute
	// maxMessage is in bytes. A viewer has nothing to say but that it comes and goes.
	maxMessage = 4 << 10
	// connectWithin bounds the time from the opening of a connection to the viewer's connect.
	connectWithin = 5 * time.Second
	// closeWithin is what the last answers to polls take.
	closeWithin = time.Second
)

// socketServer answers /socket.io/ (protocol version 4, by polling and websocket) from the same hub as the event
// stream. The library is known to this file only.
type socketServer struct {
	io          *socket.Server
	handler     http.Handler
	requests    context.Context // of every request, besides its own
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
			hangUpAfter(conn)
		}
	})
	// The library passes listeners their arguments untyped; On fails for reserved names only.
	_ = s.io.On("connection", func(args ...any) {
		if client, ok := args[0].(*socket.Socket); ok {
			feedSocket(h, client)
		}
	})
	return s
}

// viewerParser decodes only that a viewer connects or disconnects. Whatever else it sends is dropped: nothing here listens
// to it, and the library panics, for the whole process, on an event without a name.
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

// hangUpAfter closes a session's websocket with the session. Where the viewer has closed it, the library leaves its end
// open until it is garbage, and the viewer waits for that.
func hangUpAfter(conn engine.Socket) {
	hangUp := func(...any) {
		if t := conn.Transport(); t.Name() == transports.WEBSOCKET {
			go t.DoClose(nil) // by itself, because it waits for the listeners to a websocket's close, of which this may be one
		}
	}
	_ = conn.Once("close", hangUp)
	if conn.ReadyState() == "closed" {
		hangUp() // before anyone listened
	}
}

// feedSocket passes frames on for as long as the client is connected. It hands the library one frame and waits until
// the transport has taken it, so that the newest frame waits in the mailbox and nothing piles up in the library.
func feedSocket(h *hub, client *socket.Socket) {
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
		end() // it went before anyone listened
	}
	v := h.join(transportSocketIO)
	go func() {
		defer h.leave(v)
		defer client.Disconnect(false) // or the library keeps one that went while it was being connected
		defer conn.RemoveListener("close", onEnd)
		defer conn.RemoveListener("drain", onDrain) // a connection may outlive its socket, and have another one
		for {
			select {
			case <-gone:
				return
			case f := <-v.mailbox:
				select {
				case <-taken: // of something before
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

// gate holds back what comes by websocket until the handler has returned, since the library reads before it listens: an
// early connect would be lost, and an early pong would end the process.
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

// disconnect ends every session, so that polls are answered and a drain need not wait for them; soon after that it ends
// requests that the library leaves without an answer.
func (s *socketServer) disconnect() {
	s.io.Close(nil)
	time.AfterFunc(closeWithin, s.endRequests)
}

// Close disconnects every client and waits, within ctx, until the library says that it is done.
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
