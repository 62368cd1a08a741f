package main

import (
	"errors"
	"sync"

	"petvote/services/result/socketio"
	"petvote/shared/ballot"
)

const (
	pushEvent         = "current_votes" // on both transports
	transportSSE      = "sse"
	transportSocketIO = "socket.io"
)

// frame is one state of the tally, encoded once for all viewers.
type frame struct {
	counts   ballot.Counts
	sse      []byte
	socketIO []byte
}

func newFrame(c ballot.Counts) *frame {
	return &frame{counts: c, sse: sseEvent(pushEvent, c), socketIO: socketio.Event(pushEvent, c)}
}

// viewer is one open page. Its mailbox holds one frame: a slow viewer finds the newest there, never a backlog.
type viewer struct {
	mailbox   chan *frame
	transport string
}

var errTooManyViewers = errors.New("there are too many viewers, please try again later")

// hub pushes the tally to every viewer.
type hub struct {
	limit int // of viewers

	mu      sync.Mutex
	current *frame
	viewers map[*viewer]struct{}

	pushes    int64 // changes of the tally pushed
	conflated int64 // frames replaced by a newer one before their viewer took them
	refused   int64 // viewers, because there were too many
}

func newHub(limit int) *hub { return &hub{limit: limit, viewers: map[*viewer]struct{}{}} }

// join adds a viewer, with the current tally in its mailbox if there is one. It fails if there are too many.
func (h *hub) join(transport string) (*viewer, error) {
	v := &viewer{mailbox: make(chan *frame, 1), transport: transport}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.viewers) >= h.limit {
		h.refused++
		return nil, errTooManyViewers
	}
	if h.current != nil {
		v.mailbox <- h.current
	}
	h.viewers[v] = struct{}{}
	return v, nil
}

// leave removes a viewer.
func (h *hub) leave(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.viewers, v)
}

// publish puts the counts into every mailbox, where they replace a frame not taken yet. It skips unchanged counts.
func (h *hub) publish(c ballot.Counts) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current != nil && h.current.counts == c {
		return false
	}
	h.current = newFrame(c)
	h.pushes++
	for v := range h.viewers {
		select {
		case <-v.mailbox:
			h.conflated++
		default:
		}
		v.mailbox <- h.current // never blocks: only join and publish send, both under the lock
	}
	return true
}

// size is the number of viewers.
func (h *hub) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.viewers)
}

// audience returns the viewers by their transport, and the counts so far.
func (h *hub) audience() (viewers map[string]int64, pushes, conflated, refused int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	viewers = map[string]int64{transportSSE: 0, transportSocketIO: 0}
	for v := range h.viewers {
		viewers[v.transport]++
	}
	return viewers, h.pushes, h.conflated, h.refused
}
