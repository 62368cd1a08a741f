package main

import (
	"encoding/json"
	"fmt"
	"sync"

	"petvote/observability/telemetry"
	"petvote/shared/ballot"
	"petvote/shared/tracecontext"
)

// pushEvent is the name of the event, on both transports.
const pushEvent = "current_votes"

// frame is one state of the tally, encoded once for all viewers.
type frame struct {
	counts  ballot.Counts
	sse     []byte
	parents []string // of the spans that its viewer is to report; only in a witness's mailbox
}

func newFrame(c ballot.Counts) (*frame, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode push: %w", err)
	}
	return &frame{counts: c, sse: fmt.Appendf(nil, "event: %s\ndata: %s\n\n", pushEvent, data)}, nil
}

// viewer is one open page. Its mailbox holds one frame: whoever takes too long finds the newest there, never a backlog.
type viewer struct {
	mailbox   chan *frame
	transport string
}

// hub passes the tally on to every viewer.
type hub struct {
	mu        sync.Mutex
	current   *frame
	viewers   map[*viewer]struct{}
	audience  map[string]int64
	pushes    int64
	conflated int64
}

func newHub() *hub {
	return &hub{viewers: map[*viewer]struct{}{}, audience: map[string]int64{transportSSE: 0, transportSocketIO: 0}}
}

// The transports by which pages are reached.
const (
	transportSSE      = "sse"
	transportSocketIO = "socket.io"
)

// join adds a viewer, with the present tally in its mailbox if there is one.
func (h *hub) join(transport string) *viewer {
	v := &viewer{mailbox: make(chan *frame, 1), transport: transport}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current != nil {
		v.mailbox <- h.current
	}
	h.viewers[v] = struct{}{}
	h.audience[transport]++
	return v
}

// leave removes a viewer; a second time does nothing.
func (h *hub) leave(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.viewers[v]; ok {
		delete(h.viewers, v)
		h.audience[v.transport]--
	}
}

// publish puts the counts into every mailbox, in place of what is still there, and tells some viewers the traces of the
// push. The same counts again are no news, and not pushed but to those viewers.
func (h *hub) publish(c ballot.Counts, traces []tracecontext.TraceContext) (isNews bool, err error) {
	f, err := newFrame(c)
	if err != nil {
		return false, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	isNews = h.current == nil || h.current.counts != c
	if isNews {
		h.current = f
		h.pushes++
	}
	parents := parentsOf(traces)
	witnesses := 0
	for v := range h.viewers { // in no order, so that the witnesses change
		var told []string
		if len(parents) > 0 && witnesses < maxWitnesses && v.transport == transportSSE {
			told = parents
			witnesses++
		}
		if isNews || told != nil {
			h.deliver(v, f, told)
		}
	}
	return isNews, nil
}

// deliver puts a frame into a mailbox. Only publish and join do that, both under the lock, so there is room.
func (h *hub) deliver(v *viewer, f *frame, parents []string) {
	select {
	case old := <-v.mailbox:
		if old.counts != f.counts {
			h.conflated++
		}
		parents = append(parents[:len(parents):len(parents)], old.parents...)
	default:
	}
	v.mailbox <- f.witnessed(parents)
}

// figures are what the hub counts.
func (h *hub) figures() telemetry.Audience {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := telemetry.Audience{Viewers: make(map[string]int64, len(h.audience)), Pushes: h.pushes, Conflated: h.conflated}
	for transport, n := range h.audience {
		a.Viewers[transport] = n
	}
	return a
}
