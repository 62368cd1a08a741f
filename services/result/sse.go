package main

import (
	"context"
	"net/http"
	"time"
)

const (
	heartbeatEvery = 15 * time.Second // so that proxies keep the connection and both ends notice when it is gone
	writeWithin    = 10 * time.Second // a client that takes nothing for that long is cut off
)

// sseHello tells the browser how long to wait before it connects again, in milliseconds.
const sseHello = "retry: 1000\n\n"

// sseHandler answers GET /events: the tally at once, then after each change.
type sseHandler struct {
	hub      *hub
	stopping context.Context // ends the streams when the service stops
}

func (h *sseHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	v := h.hub.join(transportSSE)
	defer h.hub.leave(v)
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	for {
		next := []byte(":\n\n")
		select {
		case <-r.Context().Done():
			return
		case <-h.stopping.Done():
			return
		case f := <-v.mailbox:
			next = f.sse
		case <-heartbeat.C:
		}
		if !send(next) {
			return
		}
	}
}
