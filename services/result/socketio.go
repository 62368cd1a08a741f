package main

import (
	"context"
	"net/http"

	"github.com/zishang520/socket.io/v2/socket"
)

// socketServer answers /socket.io/ (protocol version 4, by polling and websocket) from the same hub as the event
// stream. The library is known to this file only.
type socketServer struct {
	io      *socket.Server
	handler http.Handler
}

func newSocketServer(h *hub) *socketServer {
	options := socket.DefaultServerOptions()
	options.SetServeClient(false)
	s := &socketServer{io: socket.NewServer(nil, options)}
	s.handler = s.io.ServeHandler(options)
	// The library passes listeners their arguments untyped; On fails for reserved names only.
	_ = s.io.On("connection", func(args ...any) {
		if client, ok := args[0].(*socket.Socket); ok {
			feedSocket(h, client)
		}
	})
	return s
}

// feedSocket passes frames on for as long as the client is connected. It hands the library one frame and waits until
// the transport has taken it, so that the newest frame waits in the mailbox and nothing piles up in the library.
func feedSocket(h *hub, client *socket.Socket) {
	gone := make(chan struct{})
	taken := make(chan struct{}, 1)
	_ = client.Once("disconnect", func(...any) { close(gone) })
	_ = client.Conn().On("drain", func(...any) {
		select {
		case taken <- struct{}{}:
		default:
		}
	})
	v := h.join(transportSocketIO)
	go func() {
		defer h.leave(v)
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

func (s *socketServer) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close disconnects every client and waits, within ctx, until the library says that it is done.
func (s *socketServer) Close(ctx context.Context) error {
	done := make(chan error, 1)
	go s.io.Close(func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
