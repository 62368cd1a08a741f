package systemtest

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/voters"
	"petvote/shared/ballot"
)

// A Redis that hangs fills the service most surely. With one vote in flight, its failures are too few for the breaker,
// and its two attempts outlast the second for which the others wait.
func TestMoreVotesThanCanBeInFlightAreRefusedAndTheOthersCounted(t *testing.T) {
	t.Parallel()
	const votes = 10
	r := newRig(t, withEnv("MAX_IN_FLIGHT=1"))
	r.must(r.Redis.Pause())
	answers := make(chan ledger.Answer, votes)
	for range votes {
		go func() { answers <- r.cast(uuid.Must(uuid.NewV7()), ballot.Dogs) }()
	}
	next := func() ledger.Answer {
		select {
		case a := <-answers:
			return a
		case <-time.After(patience):
			t.Fatal("the surplus votes go on waiting")
			return ledger.Answer{}
		}
	}
	for range votes - 1 {
		if a := next(); a.Status != ledger.Refused {
			t.Errorf("a surplus vote: %+v", a)
		}
	}
	r.must(r.Redis.Resume())
	// Once Redis is back, the vote in flight is accepted, unless this machine took longer than its budget.
	if a := next(); a.Status != ledger.Accepted && a.Status != ledger.Refused {
		t.Errorf("the vote in flight: %+v", a)
	}
	if refused := sum(r.exported(r.Vote), "petvote_admission_refused_total"); refused == 0 {
		t.Error("no vote was refused because too many were in flight")
	}
	r.eventually(func() error {
		if a := r.cast(uuid.Must(uuid.NewV7()), ballot.Cats); a.Status != ledger.Accepted {
			return fmt.Errorf("after the overload: %+v", a)
		}
		return nil
	})
	r.audit()
}

// However many connections do nothing, new ones are served: those that have rested the longest are closed. It is so too
// where the process may have fewer files open than MAX_CONNECTIONS allows connections.
func TestConnectionsThatDoNothingLockNobodyOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, withEnv("IDLE_TIMEOUT=1h"), func(o *platform.Options) {
		o.Commands = map[string][]string{
			platform.Vote: {"sh", "-c", `ulimit -n 48; exec "$0"`, filepath.Join(o.Bin, platform.Vote)}}
	})
	limited := r.describe(platform.Vote, "MAX_CONNECTIONS=4")
	r.must(limited.Start(t.Context()))
	for s, most := range map[*platform.Service]int{limited: 4, r.Vote: 48} {
		connect := func(request string) *bufio.Reader {
			conn, err := net.Dial("tcp", s.Addr())
			r.must(err)
			t.Cleanup(func() { _ = conn.Close() })
			r.must(conn.SetReadDeadline(time.Now().Add(patience)))
			_, err = fmt.Fprint(conn, request)
			r.must(err)
			return bufio.NewReader(conn)
		}
		voter := voters.NewClient(s.URL("/vote"), r.ledger.Began, patience)
		defer voter.Close()
		request := "GET /healthz HTTP/1.1\r\nHost: " + s.Addr() + "\r\n"
		for range most {
			connect("")                                                  // half-open
			connect(request)                                             // in the middle of its request
			resp, err := http.ReadResponse(connect(request+"\r\n"), nil) // idle from now on
			r.must(err)
			if resp.StatusCode != http.StatusOK {
				t.Errorf("beside connections that do nothing: %s", resp.Status)
			}
			r.ledger.Add(voter.Cast(t.Context(), uuid.Must(uuid.NewV7()), ballot.Dogs))
		}
	}
	r.wantOnly(ledger.Accepted)
	r.audit()
}

// Viewers may take seven of eight connections. Single requests are still answered.
func TestMoreViewersThanResultCanServeAreRefused(t *testing.T) {
	t.Parallel()
	const connections = 16
	r := newRig(t)
	result := r.describe(platform.Result, "MAX_CONNECTIONS=16")
	r.must(result.Start(t.Context()))
	watch := func() *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, result.URL("/events"), nil)
		r.must(err)
		response, err := client.Do(request)
		r.must(err)
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	for range connections * 7 / 8 {
		if response := watch(); response.StatusCode != http.StatusOK {
			t.Fatalf("a viewer: %s", response.Status)
		}
	}
	for _, path := range []string{"/events", "/socket.io/?EIO=4&transport=websocket"} {
		a, err := exchange(t.Context(), http.MethodGet, result.URL(path), "", "Connection", "Upgrade", "Upgrade", "websocket")
		r.must(err)
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s with too many viewers: %s", path, a.Status)
		}
	}
	r.must(r.wantStatus(result.URL("/api/tally"), http.StatusOK))
	if refused := sum(r.exported(result), "petvote_viewers_refused_total"); refused != 2 {
		t.Errorf("%v viewers were refused, want 2", refused)
	}
}
