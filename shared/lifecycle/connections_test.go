package lifecycle

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// keptConn is a client's connection, on which it sends requests one after the other.
type keptConn struct {
	net.Conn
	answers *bufio.Reader
}

// connect opens a connection without a request.
func (r *running) connect(t *testing.T) *keptConn {
	t.Helper()
	c, err := r.client.Transport.(*http.Transport).DialContext(t.Context(), "tcp", "memory")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	synctest.Wait()
	return &keptConn{c, bufio.NewReader(c)}
}

// get sends a request and returns the answer, or why there is none.
func (c *keptConn) get(path string) reply {
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: memory\r\n\r\n"); err != nil {
		return reply{err: err}
	}
	return c.answer()
}

// answer reads the next answer.
func (c *keptConn) answer() reply {
	resp, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return reply{err: err}
	}
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, string(body), resp.Close, err}
}

// begin sends a request and returns once the server works on it or has left it waiting.
func (c *keptConn) begin(path string) <-chan reply {
	answer := make(chan reply, 1)
	go func() { answer <- c.get(path) }()
	synctest.Wait()
	return answer
}

// ended is true if the server has closed the connection.
func (c *keptConn) ended() bool {
	return c.SetReadDeadline(time.Time{}) != nil // as a pipe answers whose other end is closed
}

func wantHello(t *testing.T, what string, got reply, last bool) {
	t.Helper()
	if got.err != nil || got.status != http.StatusOK || got.body != "hello" || got.last != last {
		t.Errorf("%s: %+v, want an answer, the last of its connection: %v", what, got, last)
	}
}

// A proxy that keeps its connections for a minute never sends a request into one that is being closed.
func TestAnIdleConnectionIsKeptUntilTheIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, hello, nil)
		c := r.connect(t)
		wantHello(t, "the first request", c.get("/work"), false)
		time.Sleep(idleTimeout - time.Millisecond)
		wantHello(t, "just before the time-out", c.get("/work"), false)
		time.Sleep(idleTimeout + time.Millisecond)
		if !c.ended() {
			t.Error("the connection is kept for ever")
		}
		r.stop()
		r.wantEnd(t)
	})
}

// Clients dial ahead: what they have not used yet must not end when the first request may be on its way.
func TestAConnectionMayWaitForItsFirstRequestAsLongAsAnIdleOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(w http.ResponseWriter, r *http.Request) {
			if body, err := io.ReadAll(r.Body); err != nil || string(body) != "body" {
				t.Errorf("read %q, %v", body, err)
			}
			hello(w, r)
		}, nil)
		c := r.connect(t)
		time.Sleep(idleTimeout - time.Second)
		const header = "GET /work HTTP/1.1\r\nHost: memory\r\nContent-Length: 4\r\n\r\n"
		go func() {
			_, _ = io.WriteString(c, header+"bo") // the answer tells
			time.Sleep(bodyTimeout - time.Millisecond)
			_, _ = io.WriteString(c, "dy")
		}()
		wantHello(t, "the first request", c.answer(), false)
		unused := r.connect(t)
		time.Sleep(idleTimeout + time.Millisecond)
		if !unused.ended() {
			t.Error("a connection without a request is kept for ever")
		}
		r.stop()
		r.wantEnd(t)
	})
}

func TestABodyThatDoesNotComeIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, failed := time.Now(), time.Duration(0)
		r := run(t, func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				failed = time.Since(began)
			}
			hello(w, r)
		}, nil)
		c := r.connect(t)
		go func() { _, _ = io.WriteString(c, "GET /work HTTP/1.1\r\nHost: memory\r\nContent-Length: 4\r\n\r\nbo") }()
		_ = c.answer()
		if failed != bodyTimeout {
			t.Errorf("gave up after %v, want %v", failed, bodyTimeout)
		}
		r.stop()
		r.wantEnd(t)
	})
}

// A deadline for a body would cancel requests that have none, and so end streams.
func TestARequestWithoutABodyMayTakeAsLongAsItsHandlerWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // as streams do
			select {
			case <-r.Context().Done():
				t.Error("the request was cancelled")
			case <-time.After(10 * bodyTimeout):
			}
			hello(w, r)
		}, nil)
		wantHello(t, "a long one", r.connect(t).get("/work"), false)
		r.stop()
		r.wantEnd(t)
	})
}

func TestTheLongestIdleConnectionIsClosedOnceAllSlotsAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, hello, nil)
		first, halfOpen := r.connect(t), r.connect(t)
		wantHello(t, "a request", first.get("/work"), false) // now halfOpen is idle the longest
		last := r.connect(t)
		time.Sleep(minIdle)
		if first.ended() || halfOpen.ended() || last.ended() {
			t.Error("a connection was closed though there is room")
		}
		begun := time.Now()
		wantHello(t, "one connection more", r.connect(t).get("/work"), false)
		if took := time.Since(begun); took > slotWait {
			t.Errorf("it waited %v", took)
		}
		if first.ended() || last.ended() || !halfOpen.ended() {
			t.Error("not just the one that had been idle the longest was closed")
		}
		r.stop()
		r.wantLateEnd(t)
	})
}

// The request of a connection that has been idle for a moment may be on its way.
func TestNoConnectionIsClosedThatHasJustBecomeIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, hello, nil)
		var kept []*keptConn
		for range maxConnections {
			kept = append(kept, r.connect(t))
			time.Sleep(2 * slotWait)
		}
		late := r.connect(t).begin("/work")
		time.Sleep(minIdle - (2*maxConnections+1)*slotWait)
		if len(late) > 0 || kept[0].ended() {
			t.Error("a connection was closed too soon")
		}
		time.Sleep(2 * slotWait)
		wantHello(t, "the late one", <-late, false)
		if !kept[0].ended() || kept[1].ended() || kept[2].ended() {
			t.Error("not just the one that had been idle the longest was closed")
		}
		r.stop()
		r.wantLateEnd(t)
	})
}

func TestWhereAllAreBusyAnAnswerMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := run(t, func(w http.ResponseWriter, r *http.Request) { <-release; hello(w, r) }, nil)
		busy := []*keptConn{r.connect(t), r.connect(t), r.connect(t)}
		var answers []<-chan reply
		for _, c := range busy {
			answers = append(answers, c.begin("/work"))
		}
		late := r.connect(t).begin("/work")
		time.Sleep(2 * minIdle)
		close(release)
		synctest.Wait()
		for _, answer := range answers {
			wantHello(t, "one that was busy before", <-answer, false)
		}
		// Each goes on at once, as under saturation: none is idle for long enough to be closed.
		var closing int
		for range 100 {
			for _, c := range busy {
				if got := c.get("/work"); got.last {
					closing++
				}
			}
			if len(late) > 0 || closing > 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		wantHello(t, "the late one", <-late, false)
		if closing != 1 {
			t.Errorf("%d answers ended their connections, want 1", closing)
		}
		r.stop()
		r.wantEnd(t)
	})
}

func TestAStopDoesNotWaitForAConnectionWithoutASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil)
		for range maxConnections {
			r.connect(t).begin("/work")
		}
		late := r.connect(t).begin("/work")
		r.stop()
		if err := <-r.ended; err == nil {
			t.Error("requests that hang were drained")
		}
		if got := <-late; got.err == nil {
			t.Errorf("the late one: %+v", got)
		}
	})
}
