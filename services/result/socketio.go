package main

import (
	"time"

	"petvote/services/result/socketio"
)

// Event and Total make a frame one of package socketio.
func (f *frame) Event() []byte { return f.socketIO }
func (f *frame) Total() int64  { return f.counts.Total() }

// newSocketServer returns the handler of /socket.io/, which serves the event stream's hub.
func newSocketServer(h *hub, cfg settings) *socketio.Server[*frame] {
	join := func() (<-chan *frame, func(), error) {
		v, err := h.join(transportSocketIO)
		if err != nil {
			return nil, nil, err
		}
		return v.mailbox, func() { h.leave(v) }, nil
	}
	return socketio.New(time.Duration(cfg.SocketPingInterval), time.Duration(cfg.SocketPingTimeout), join)
}
