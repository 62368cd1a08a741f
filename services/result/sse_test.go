package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

// wire is a client's connection in memory, which may be blocked or broken.
type wire struct {
	net.Conn // no other methods are called
	header   http.Header
	closed   chan struct{}
	close    func()

	mu       sync.Mutex
	head     string
	sent     strings.Builder
	deadline time.Time
	broken   bool
	blocked  chan struct{} // writes wait until it is nil or closed
}

func (w *wire) Header() http.Header                          { return w.header }
func (w *wire) WriteHeader(int)                              {}
func (w *wire) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w, nil, nil }
func (w *wire) Close() error                                 { w.close(); return nil }

func (w *wire) Read([]byte) (int, error) {
	<-w.closed
	return 0, io.EOF
}

func (w *wire) Write(b []byte) (int, error) {
	if w.blocked != nil {
		<-w.blocked
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return 0, errors.New("broken pipe")
	}
	n := len(b)
	if w.head == "" {
		head, body, _ := strings.Cut(string(b), "\r\n\r\n")
		w.head, b = head+"\r\n\r\n", []byte(body)
	}
	w.sent.Write(b)
	return n, nil
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
	stop    func() // the service stops
	stopped chan struct{}
}

func watch(t *testing.T, w *wire, current ...ballot.Counts) *watching {
	t.Helper()
	w.header, w.closed = http.Header{}, make(chan struct{})
	w.close = sync.OnceFunc(func() { close(w.closed) })
	h := newHub(100_000)
	publish(h, current...)
	service, stop := context.WithCancel(t.Context())
	s := &watching{wire: w, t: t, hub: h, sampled: newSampledViewers(&fakeRefresher{}), stop: stop,
		stopped: make(chan struct{})}
	go func() {
		streams := &sseHandler{hub: h, sampled: s.sampled, stopping: service}
		streams.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/events", nil))
		streams.streams.Wait()
		close(s.stopped)
	}()
	t.Cleanup(func() {
		w.close()
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
		answer, err := http.ReadResponse(bufio.NewReader(strings.NewReader(s.head)), nil)
		testenv.Must(t, err)
		if h := answer.Header; answer.StatusCode != 200 || !answer.Close || h.Get("Content-Type") != "text/event-stream" ||
			h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no" || h.Get("Date") == "" {
			t.Errorf("head %q", s.head)
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
		"client":  func(s *watching) { s.close() },
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

// hijackedMeanwhile is a connection that is taken over while its service stops.
type hijackedMeanwhile struct {
	*wire
	stop func()
}

func (h hijackedMeanwhile) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.stop()
	return h.wire.Hijack()
}

func TestTheStopWaitsForAStreamThatIsJustBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{header: http.Header{}, closed: make(chan struct{})}
		w.close = sync.OnceFunc(func() { close(w.closed) })
		streams := &sseHandler{hub: newHub(1), sampled: newSampledViewers(&fakeRefresher{}), stopping: t.Context()}
		stopped := make(chan struct{})
		stop := func() {
			go func() { streams.streams.Wait(); close(stopped) }()
			synctest.Wait()
		}
		streams.ServeHTTP(hijackedMeanwhile{w, stop}, httptest.NewRequest(http.MethodGet, "/events", nil))
		select {
		case <-stopped:
			t.Error("it did not wait")
		default:
		}
		_ = w.Close()
		<-stopped
	})
}

func TestHeadEndsAtOnce(t *testing.T) {
	h, answer := newHub(1), httptest.NewRecorder()
	(&sseHandler{hub: h, sampled: newSampledViewers(nil), stopping: t.Context()}).
		ServeHTTP(answer, httptest.NewRequest(http.MethodHead, "/events", nil))
	if err := viewers(h, transportSSE, 0)(); err != nil || answer.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("%d %v, %v", answer.Code, answer.Header(), err)
	}
}

func TestAStreamTooManyIsRefused(t *testing.T) {
	answer := httptest.NewRecorder()
	(&sseHandler{hub: newHub(0), sampled: newSampledViewers(nil), stopping: t.Context()}).
		ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/events", nil))
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", answer.Code, answer.Header())
	}
}
