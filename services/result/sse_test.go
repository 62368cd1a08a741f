package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/ballot"
)

// wire is a client's connection in memory, which may be blocked or broken.
type wire struct {
	header http.Header

	mu       sync.Mutex
	sent     strings.Builder
	written  strings.Builder // and not yet flushed
	deadline time.Time
	broken   bool
	blocked  chan struct{} // writes wait until it is nil or closed
}

func (w *wire) Header() http.Header { return w.header }
func (w *wire) WriteHeader(int)     {}

func (w *wire) Write(b []byte) (int, error) {
	if w.blocked != nil {
		<-w.blocked
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return 0, errors.New("broken pipe")
	}
	return w.written.Write(b)
}

func (w *wire) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent.WriteString(w.written.String())
	w.written.Reset()
}

func (w *wire) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	return nil
}

// received returns what the client has received since the last call.
func (w *wire) received() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.sent.Reset()
	return w.sent.String()
}

// watching is one open stream.
type watching struct {
	*wire
	t       *testing.T
	hub     *hub
	sampled *sampledViewers
	hangUp  func() // the client goes
	stop    func() // the service stops
	stopped chan struct{}
}

func watch(t *testing.T, w *wire, current ...ballot.Counts) *watching {
	t.Helper()
	w.header = http.Header{}
	h := newHub(100_000)
	publish(h, current...)
	client, hangUp := context.WithCancel(t.Context())
	service, stop := context.WithCancel(t.Context())
	s := &watching{wire: w, t: t, hub: h, sampled: newSampledViewers(&fakeRefresher{}), hangUp: hangUp, stop: stop,
		stopped: make(chan struct{})}
	go func() {
		r := httptest.NewRequestWithContext(client, http.MethodGet, "/events", nil)
		(&sseHandler{hub: h, sampled: s.sampled, stopping: service}).ServeHTTP(w, r)
		close(s.stopped)
	}()
	t.Cleanup(func() {
		hangUp()
		stop()
		<-s.stopped
		if err := viewers(h, transportSSE, 0)(); err != nil {
			t.Errorf("after the stream's end: %v", err)
		}
		if n := len(s.sampled.boxes); n != 0 {
			t.Errorf("%d viewers could still be sampled after the stream's end", n)
		}
	})
	return s
}

func event(counts ballot.Counts) string {
	return fmt.Sprintf("event: current_votes\ndata: {\"dogs\":%d,\"cats\":%d,\"lizards\":%d}\n\n",
		counts.Dogs, counts.Cats, counts.Lizards)
}

func (s *watching) want(want string) {
	s.t.Helper()
	if got := s.received(); got != want {
		s.t.Errorf("received %q, want %q", got, want)
	}
}

func TestAStreamBeginsWithTheTallyAndGoesOnWithEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := ballot.Counts{Dogs: 1, Cats: 2, Lizards: 3}
		s := watch(t, &wire{}, first)
		s.want("retry: 1000\n\n" + event(first))
		if h := s.header; h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" ||
			h.Get("X-Accel-Buffering") != "no" {
			t.Errorf("header %v", h)
		}
		for n := range int64(3) {
			time.Sleep(time.Second)
			publish(s.hub, dogs(n))
			s.want(event(dogs(n)))
			s.mu.Lock()
			if left := time.Until(s.deadline); left != writeWithin {
				t.Errorf("write %d had %v, want %v", n, left, writeWithin)
			}
			s.mu.Unlock()
		}
	})
}

func TestAStreamBeforeTheFirstTallyIsOpenAndHasAHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := watch(t, &wire{})
		s.want("retry: 1000\n\n")
		time.Sleep(heartbeatEvery - time.Millisecond)
		s.want("")
		time.Sleep(3 * heartbeatEvery)
		s.want(":\n\n:\n\n:\n\n")
		publish(s.hub, ballot.Counts{})
		s.want(event(ballot.Counts{}))
	})
}

func TestAStreamEndsWithItsClientAndWithTheService(t *testing.T) {
	for name, end := range map[string]func(*watching){
		"client":  func(s *watching) { s.hangUp() },
		"service": func(s *watching) { s.stop() },
		"wire":    func(s *watching) { s.mu.Lock(); s.broken = true; s.mu.Unlock(); publish(s.hub, dogs(1)) },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := watch(t, &wire{})
			s.received()
			if err := viewers(s.hub, transportSSE, 1)(); err != nil {
				t.Errorf("%s, at first: %v", name, err)
			}
			end(s)
			synctest.Wait()
			select {
			case <-s.stopped:
			default:
				t.Errorf("%s: the stream goes on", name)
			}
			s.want("")
		})
	}
	synctest.Test(t, func(t *testing.T) { // also if the client is gone at the start
		<-watch(t, &wire{broken: true}, dogs(1)).stopped
	})
}

func TestAStreamTooManyIsRefused(t *testing.T) {
	answer := httptest.NewRecorder()
	(&sseHandler{hub: newHub(0), sampled: newSampledViewers(nil), stopping: t.Context()}).
		ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/events", nil))
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", answer.Code, answer.Header())
	}
}
