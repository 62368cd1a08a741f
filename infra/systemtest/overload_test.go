package systemtest

import (
	"bufio"
	"cmp"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"petvote/shared/ballot"
)

// A Redis that stands still is what fills the service most surely. With one vote in flight its failures are too few for the breaker,
// and its two attempts outlast the second in which the others wait for their turn.
func TestMoreVotesThanCanBeInFlightAreRefusedSoonAndTheOthersCounted(t *testing.T) {
	t.Parallel()
	const votes = 10
	r := newRig(t, withEnv("MAX_IN_FLIGHT=1"))
	r.must(r.Redis.Pause())
	type outcome struct {
		status int
		retry  string
		err    error
	}
	answers := make(chan outcome, votes)
	for range votes {
		go func() {
			status, _, header, err := cast(t.Context(), r.Vote.URL("/vote"), "dogs", "")
			answers <- outcome{status, header.Get("Retry-After"), err}
		}()
	}
	late := time.After(10 * time.Second)
	for range votes - 1 {
		select {
		case a := <-answers:
			if a.err != nil || a.status != http.StatusServiceUnavailable || a.retry == "" {
				t.Errorf("a vote too many: %+v", a)
			}
		case <-late:
			t.Fatal("the votes that are too many go on waiting")
		}
	}
	r.must(r.Redis.Resume())
	if a := <-answers; a.err != nil || a.status != http.StatusOK {
		t.Errorf("the vote in flight: %+v", a)
	}
	if refused := scrape(t, r.Vote)["petvote_admission_refused_total"]; refused != votes-1 {
		t.Errorf("%v refused because too many were in flight, want %d", refused, votes-1)
	}
	r.shown(ballot.Counts{Dogs: 1})
}

// More connections than the service takes wait until others are gone, and are served then.
func TestMoreConnectionsThanAreTakenWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	const most = 4
	r := newRig(t, withEnv(fmt.Sprintf("MAX_CONNECTIONS=%d", most)))
	addr := strings.TrimPrefix(r.Vote.URL(""), "http://")
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
	var first net.Conn
	for range most {
		conn, answer := ask()
		r.must(answered(conn, answer, patience))
		first = cmp.Or(first, conn)
	}
	waiting, answer := ask()
	if answered(waiting, answer, 300*time.Millisecond) == nil {
		t.Error("one more than there may be is served")
	}
	r.must(first.Close())
	r.must(answered(waiting, answer, patience))
}
