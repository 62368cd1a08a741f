package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	heartbeatEvery = 15 * time.Second  // keeps proxies from closing the connection, and reveals a dead one to both ends
	writeWithin    = 10 * time.Second  // then a client that reads nothing is disconnected
	sseHello       = "retry: 1000\n\n" // the browser's delay before it reconnects, in milliseconds
)

var sseHeartbeat = []byte(":\n\n")

// sseEvent encodes an event. The value must be one that always encodes as JSON.
func sseEvent(name string, value any) []byte {
	data, _ := json.Marshal(value)
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data)
}

// sseHandler answers GET /events: the tally at once, then after each change. It takes the connection over from the HTTP
// server, which holds 10 KB more for one, and whose writing of chunks takes longer. An answer ends with its connection.
type sseHandler struct {
	hub      *hub
	sampled  *sampledViewers
	stopping context.Context // ends the streams when the service stops
	streams  sync.WaitGroup  // to wait for
}

func (h *sseHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	v, err := h.hub.join(transportSSE)
	if err != nil {
		header.Set("Retry-After", "5")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		h.hub.leave(v)
		return
	}
	h.streams.Add(1) // now, since from the next line on the server's stop does not wait for the connection
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		h.streams.Done()
		h.hub.leave(v)
		http.Error(w, err.Error(), http.StatusHTTPVersionNotSupported)
		return
	}
	header.Set("Connection", "close")
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	hello := bytes.NewBufferString("HTTP/1.1 200 OK\r\n")
	_ = header.Write(hello) // to memory
	hello.WriteString("\r\n" + sseHello)
	// The request ends here, and nothing below refers to it.
	go func() {
		defer h.streams.Done()
		defer h.hub.leave(v)
		defer context.AfterFunc(h.stopping, func() { _ = conn.Close() })()
		defer conn.Close()
		h.stream(conn, v, hello.Bytes())
	}()
}

// stream sends what is due until the connection ends.
func (h *sseHandler) stream(conn net.Conn, v *viewer, hello []byte) {
	send := func(b []byte) bool {
		if conn.SetWriteDeadline(time.Now().Add(writeWithin)) != nil {
			return false
		}
		_, err := conn.Write(b)
		return err == nil
	}
	if !send(hello) {
		return
	}
	gone := make(chan struct{})
	h.streams.Go(func() {
		defer close(gone)
		for ignored := make([]byte, 64); ; {
			if _, err := conn.Read(ignored); err != nil {
				return
			}
		}
	})
	notifications := h.sampled.join()
	defer h.sampled.leave(notifications)
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	var newest *frame
	for {
		next := sseHeartbeat
		select {
		case <-gone:
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
