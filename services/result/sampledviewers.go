package main

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/time/rate"

	"petvote/shared/tracecontext"
	"petvote/shared/votestore"
)

const (
	tracesEvent = "push_traces"
	maxSampled  = 3 // viewers notified of one push
	maxNotified = 8 // traces in one notification
	tracesPerS  = 80
)

// sampledViewers notifies a few of the SSE viewers of the traces behind a push, so that their pages report when they
// have drawn it. Reports from all of 10,000 pages would be a flood, and a single page may be in the background.
type sampledViewers struct {
	next  refresher
	limit *rate.Limiter // of traces: a page sends a request for each

	mu    sync.Mutex
	boxes map[chan []string]struct{} // of the viewers that may be sampled; each holds one notification
}

func newSampledViewers(next refresher) *sampledViewers {
	return &sampledViewers{next: next, limit: rate.NewLimiter(tracesPerS, maxSampled*maxNotified),
		boxes: map[chan []string]struct{}{}}
}

// Refresh notifies the viewers once the tally has been pushed.
func (s *sampledViewers) Refresh(ctx context.Context, n votestore.Notice) error {
	err := s.next.Refresh(ctx, n)
	if err == nil {
		s.notify(n.Traces)
	}
	return err
}

// join adds a viewer. It receives the traceparents of its spans to report.
func (s *sampledViewers) join() chan []string {
	box := make(chan []string, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.boxes[box] = struct{}{}
	return box
}

func (s *sampledViewers) leave(box chan []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.boxes, box)
}

// notify sends the recorded traces to some viewers. A slow viewer gets them together with those of earlier pushes.
func (s *sampledViewers) notify(traces []tracecontext.TraceContext) {
	var parents []string
	for _, t := range traces {
		if t.Sampled() && len(parents) < maxNotified && s.limit.Allow() {
			parents = append(parents, t.Parent)
		}
	}
	if len(parents) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	notified := 0
	for box := range s.boxes { // in random order, so that the sample changes
		if notified++; notified > maxSampled {
			return
		}
		all := parents
		select {
		case earlier := <-box:
			all = slices.Concat(parents, earlier)
		default:
		}
		box <- all[:min(len(all), maxNotified)] // never blocks: only notify sends, under the lock
	}
}
