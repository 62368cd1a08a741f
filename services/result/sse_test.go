package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/ballot"
)

// wire is a client's connection in memory, which may take nothing for a while, or be broken.
type wire struct {
	header http.Header

	mu       sync.Mutex
	sent     strings.Builder // and flushed
	written  strings.Builder // and not flushed yet
	deadline time.Time
	broken   bool
	blocked  chan struct{} // while not nil and open, writes wait for its end
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

// received is what the client has got since it was last asked.
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
	hub     *hub
	sampled *sampledViewers
	hangUp  func() // the client goes
	stop    func() // the service stops
	stopped chan struct{}
}

func watch(t *testing.T, w *wire, current ...ballot.Counts) *watching {
	t.Helper()
	w.header = http.Header{}
	h := newHub()
	publish(t, h, current...)
	client, hangUp := context.WithCancel(t.Context())
	service, stop := context.WithCancel(t.Context())
	s := &watching{wire: w, hub: h, sampled: newSampledViewers(&reader{}), hangUp: hangUp, stop: stop, stopped: make(chan struct{})}
	go func() {
		(&sseHandler{hub: h, sampled: s.sampled, stopping: service}).ServeHTTP(w, httptest.NewRequestWithContext(client, http.MethodGet, "/events", nil))
		close(s.stopped)
	}()
	t.Cleanup(func() {
		hangUp()
		stop()
		<-s.stopped
		if n := h.audience().Viewers[transportSSE]; n != 0 {
			t.Errorf("%d viewers after the stream's end", n)
		}
		if n := len(s.sampled.boxes); n != 0 {
			t.Errorf("%d viewers could still be sampled after the stream's end", n)
		}
	})
	return s
}

func event(counts string) string { return "event: current_votes\ndata: " + counts + "\n\n" }

func TestAStreamBeginsWithTheTallyAndGoesOnWithEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := watch(t, &wire{}, ballot.Counts{Dogs: 1, Cats: 2, Lizards: 3})
		if got, want := s.received(), "retry: 1000\n\n"+event(`{"dogs":1,"cats":2,"lizards":3}`); got != want {
			t.Errorf("at first %q, want %q", got, want)
		}
		if s.header.Get("Content-Type") != "text/event-stream" || s.header.Get("Cache-Control") != "no-store" || s.header.Get("X-Accel-Buffering") != "no" {
			t.Errorf("header %v", s.header)
		}
		for n := int64(4); n < 6; n++ {
			publish(t, s.hub, dogs(n))
			if got, want := s.received(), event(`{"dogs":`+string('0'+rune(n))+`,"cats":0,"lizards":0}`); got != want {
				t.Errorf("then %q, want %q", got, want)
			}
		}
	})
}

func TestAStreamBeforeTheFirstTallyIsOpenAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := watch(t, &wire{})
		if got := s.received(); got != "retry: 1000\n\n" {
			t.Errorf("at first %q", got)
		}
		publish(t, s.hub, ballot.Counts{})
		if got := s.received(); got != event(`{"dogs":0,"cats":0,"lizards":0}`) {
			t.Errorf("then %q", got)
		}
	})
}

func TestAQuietStreamHasAHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := watch(t, &wire{})
		s.received()
		time.Sleep(heartbeatEvery - time.Millisecond)
		if got := s.received(); got != "" {
			t.Errorf("too early: %q", got)
		}
		time.Sleep(3 * heartbeatEvery)
		if got := s.received(); got != ":\n\n:\n\n:\n\n" {
			t.Errorf("in three intervals: %q", got)
		}
	})
}

func TestEveryWriteHasADeadlineOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := watch(t, &wire{})
		for n := range int64(3) {
			time.Sleep(time.Second)
			publish(t, s.hub, dogs(n))
			s.received()
			s.mu.Lock()
			if left := time.Until(s.deadline); left != writeWithin {
				t.Errorf("write %d had %v, want %v", n, left, writeWithin)
			}
			s.mu.Unlock()
		}
	})
}

func TestAClientThatTakesNothingForAWhileGetsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := watch(t, &wire{blocked: make(chan struct{})})
		synctest.Wait()
		close(s.blocked)
		s.received()
		s.blocked = make(chan struct{})
		for n := range int64(100) {
			publish(t, s.hub, dogs(n))
			synctest.Wait()
		}
		close(s.blocked)
		if got, want := s.received(), event(`{"dogs":0,"cats":0,"lizards":0}`)+event(`{"dogs":99,"cats":0,"lizards":0}`); got != want {
			t.Errorf("got %q, want what was on its way and the newest", got)
		}
	})
}

func TestAStreamEndsWithItsClientAndWithTheService(t *testing.T) {
	for name, end := range map[string]func(*watching){
		"client":  func(s *watching) { s.hangUp() },
		"service": func(s *watching) { s.stop() },
		"wire":    func(s *watching) { s.mu.Lock(); s.broken = true; s.mu.Unlock(); publish(t, s.hub, dogs(1)) },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := watch(t, &wire{})
			if s.received(); s.hub.audience().Viewers[transportSSE] != 1 {
				t.Errorf("%s: %d viewers at first", name, s.hub.audience().Viewers[transportSSE])
			}
			end(s)
			synctest.Wait()
			select {
			case <-s.stopped:
			default:
				t.Errorf("%s: the stream goes on", name)
			}
			if got := s.received(); got != "" {
				t.Errorf("%s: at the end %q", name, got)
			}
		})
	}
}

func TestAClientThatIsGoneAtTheStartIsNoViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := watch(t, &wire{broken: true}, dogs(1))
		<-s.stopped
		if f := s.hub.audience(); f.Viewers[transportSSE] != 0 {
			t.Errorf("figures %+v", f)
		}
	})
}
