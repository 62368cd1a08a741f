package systemtest

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A Redis that stands still is what fills the service most surely.
func TestMoreVotesThanCanBeInFlightAreRefusedSoonAndTheOthersCounted(t *testing.T) {
	const most, votes = 8, 40
	r := newRig(t, func(s *setup) { s.env = []string{"MAX_IN_FLIGHT=8"} })
	r.must(r.redis.Pause())
	type outcome struct {
		status int
		retry  string
		err    error
	}
	answers := make(chan outcome, votes)
	for range votes {
		go func() {
			status, _, header, err := cast(t.Context(), r.vote.url("/vote"), "dogs", "")
			answers <- outcome{status, header.Get("Retry-After"), err}
		}()
	}
	late := time.After(10 * time.Second)
	for range votes - most {
		select {
		case a := <-answers:
			if a.err != nil || a.status != http.StatusServiceUnavailable || a.retry == "" {
				t.Errorf("a vote too many: %+v", a)
			}
		case <-late:
			t.Fatal("the votes that are too many go on waiting")
		}
	}
	r.must(r.redis.Resume())
	accepted := 0
	for range most { // accepted, or given up before Redis went on, which may store them nevertheless
		switch a := <-answers; {
		case a.err == nil && a.status == http.StatusOK:
			accepted++
		case a.err != nil || a.status != http.StatusServiceUnavailable || a.retry == "":
			t.Errorf("a vote in flight: %+v", a)
		}
	}
	r.drained(soon)
	if stored := len(r.stored()); stored < accepted || stored > most {
		t.Errorf("%d stored of %d accepted and %d in flight", stored, accepted, most)
	}
}

// More connections than the service takes wait until others are gone, and are served then.
func TestMoreConnectionsThanAreTakenWaitForTheirTurn(t *testing.T) {
	const most = 4
	r := newRig(t, func(s *setup) { s.env = []string{"MAX_CONNECTIONS=4"} })
	http.DefaultClient.CloseIdleConnections() // of the rig, which has asked whether the service is ready
	addr := strings.TrimPrefix(r.vote.url(""), "http://")
	ask := func() (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("tcp", addr)
		r.must(err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", addr)
		r.must(err)
		return conn, bufio.NewReader(conn)
	}
	answered := func(conn net.Conn, answer *bufio.Reader, within time.Duration) error {
		r.must(conn.SetReadDeadline(time.Now().Add(within)))
		_, err := answer.Peek(1)
		return err
	}
	var taken []net.Conn
	for range most {
		conn, answer := ask()
		r.must(answered(conn, answer, soon))
		taken = append(taken, conn)
	}
	waiting, answer := ask()
	if answered(waiting, answer, 300*time.Millisecond) == nil {
		t.Error("one more than there may be is served")
	}
	r.must(taken[0].Close())
	r.must(answered(waiting, answer, soon))
}
