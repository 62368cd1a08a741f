package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	heartbeatEvery = 15 * time.Second  // keeps proxies from closing the connection, and reveals a dead one to both ends
	writeWithin    = 10 * time.Second  // then a client that reads nothing is disconnected
	sseHello       = "retry: 1000\n\n" // the browser's delay before it reconnects, in milliseconds
)

// sseEvent encodes an event. The value must be one that always encodes as JSON.
func sseEvent(name string, value any) []byte {
	data, _ := json.Marshal(value)
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data)
}

// sseHandler answers GET /events: the tally at once, then after each change.
type sseHandler struct {
	hub      *hub
	sampled  *sampledViewers
	stopping context.Context // ends the streams when the service stops
}

func (h *sseHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, err := h.hub.join(transportSSE)
	if err != nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer h.hub.leave(v)
	stream := http.NewResponseController(w)
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	send := func(b []byte) bool {
		if err := stream.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
			return false
		}
		_, err := w.Write(b)
		return err == nil && stream.Flush() == nil
	}
	if !send([]byte(sseHello)) {
		return
	}
	notifications := h.sampled.join()
	defer h.sampled.leave(notifications)
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	var newest *frame
	for {
		next := []byte(":\n\n")
		select {
		case <-r.Context().Done():
			return
		case <-h.stopping.Done():
			return
		case newest = <-v.mailbox:
			next = newest.sse
		case parents := <-notifications:
			select {
			case newest = <-v.mailbox:
			default:
			}
			// The tally goes first, perhaps once more: the page times its drawing from the tally's arrival.
			next = slices.Concat(newest.sse, sseEvent(tracesEvent, parents))
		case <-heartbeat.C:
		}
		if !send(next) {
			return
		}
	}
}
