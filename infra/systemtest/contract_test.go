package systemtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"petvote/infra/voters"
	"petvote/shared/ballot"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

var traceResponse = regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-0[01]$`)

func TestTheAnswersToAVote(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := uuid.NewString()
	const noObject = `the body is not a JSON object like {"pet":"dogs"}`
	for _, c := range []struct {
		name, contentType, body string
		headers                 []string
		status                  int
		message                 string // "" for success
	}{
		{"accepted", jsonType, `{"pet":"dogs"}`, nil, 200, ""},
		{"accepted with charset", "application/json; charset=utf-8", `{"pet":"cats"}`, nil, 200, ""},
		{"accepted under its key", jsonType, `{"pet":"lizards"}`,
			[]string{"Idempotency-Key", key, "Expect", "100-continue", "traceparent", "00-0-0-00"}, 200, ""},
		{"unknown pet", jsonType, `{"pet":"birds"}`, nil, 400, "Invalid pet choice"},
		{"no pet", jsonType, `{}`, nil, 400, "Invalid pet choice"},
		{"pet of another type", jsonType, `{"pet":1}`, nil, 400, "Invalid pet choice"},
		{"not JSON", jsonType, `pet=dogs`, nil, 400, "the body is not JSON"},
		{"empty", jsonType, ``, nil, 400, "the body is not JSON"},
		{"two values", jsonType, `{"pet":"dogs"}{"pet":"dogs"}`, nil, 400, "the body is not JSON"},
		{"more behind it", jsonType, `{"pet":"dogs"}x`, nil, 400, "the body is not JSON"},
		{"a byte order mark", jsonType, "\ufeff" + `{"pet":"dogs"}`, nil, 400, "the body is not JSON"},
		{"UTF-16", jsonType, "\xff\xfe{\x00}\x00", nil, 400, "the body is not JSON"},
		{"no object", jsonType, `["dogs"]`, nil, 400, noObject},
		{"null", jsonType, `null`, nil, 400, noObject},
		{"key not a UUID", jsonType, `{"pet":"dogs"}`, []string{"Idempotency-Key", "1"}, 400,
			"Idempotency-Key is not a UUID like 0190a6f0-7b7e-7c3a-9d2e-4b5f6a7c8d9e"},
		{"too large", jsonType, `{"pet":"` + strings.Repeat("x", 5000) + `"}`, nil, 413, "the body is larger than 4 KiB"},
		{"another type", "text/plain", `{"pet":"dogs"}`, nil, 415,
			"Content-Type must be application/json or application/x-www-form-urlencoded"},
		{"no type", "", `{"pet":"dogs"}`, nil, 415,
			"Content-Type must be application/json or application/x-www-form-urlencoded"},
		{"from another site", jsonType, `{"pet":"dogs"}`, []string{"Sec-Fetch-Site", "cross-site"}, 403,
			"votes from other sites are not accepted"},
	} {
		resp := r.post(c.contentType, c.body, c.headers...)
		var a struct {
			Status, ID, Message string
			TraceID             string `json:"trace_id"`
		}
		err := json.Unmarshal([]byte(resp.body), &a)
		if err != nil || resp.StatusCode != c.status || resp.Header.Get("Content-Type") != jsonType {
			t.Errorf("%s: %s, type %q: %s", c.name, resp.Status, resp.Header.Get("Content-Type"), resp.body)
		}
		if c.message != "" {
			if a.Status != "error" || a.Message != c.message {
				t.Errorf("%s: %+v, want the message %q", c.name, a, c.message)
			}
			continue
		}
		trace := traceResponse.FindStringSubmatch(resp.Header.Get("traceresponse"))
		if a.Status != "success" || trace == nil || trace[1] != a.TraceID {
			t.Errorf("%s: %+v, traceresponse %q", c.name, a, resp.Header.Get("traceresponse"))
		}
		id, err := uuid.Parse(a.ID)
		if err != nil || c.headers == nil && id.Version() != 7 || c.headers != nil && a.ID != key {
			t.Errorf("%s: id %q, %v", c.name, a.ID, err)
		}
	}
	if st := r.drained(); st.Added != 3 {
		t.Errorf("%d votes are in the stream, want the 3 accepted ones", st.Added)
	}

	// A form post leads back to the page, which says what happened.
	for body, want := range map[string]string{
		"pet=cats": "Your vote for cats was accepted", "pet=birds": "nothing was counted", "%zz": "nothing was counted",
	} {
		resp := r.post(formType, body)
		if resp.StatusCode != http.StatusSeeOther {
			t.Errorf("form %q: %s", body, resp.Status)
		} else if where := resp.Header.Get("Location"); !strings.Contains(r.page(r.Vote.URL(where)), want) {
			t.Errorf("form %q: the page at %s does not say %q", body, where, want)
		}
	}
	r.must(r.Redis.Kill())
	resp := r.post(formType, "pet=cats")
	where := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusSeeOther || !strings.Contains(where, "unavailable") {
		t.Errorf("a form without Redis: %s to %q", resp.Status, where)
	}
}

func (r *rig) post(contentType, body string, headers ...string) answer {
	r.t.Helper()
	return r.fetch(http.MethodPost, r.Vote.URL("/vote"), body, append(headers, "Content-Type", contentType)...)
}

type receipt struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Counted  bool      `json:"counted"`
	Pet      string    `json:"pet"`
	CastAt   time.Time `json:"cast_at"`
	QueuedAt time.Time `json:"queued_at"`
	StoredAt time.Time `json:"stored_at"`
	ShownAt  time.Time `json:"shown_at"`
	TraceID  string    `json:"trace_id"`
}

func TestTheReadingSideShowsEachVoteAndItsReceipt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pushes := make(chan ballot.Counts, 100)
	watching, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	go func() { _ = voters.SSE(watching, r.Result.URL(""), func(c ballot.Counts) { pushes <- c }) }()
	wantPush := func(want ballot.Counts) {
		select {
		case c := <-pushes:
			if c != want {
				t.Errorf("the page is sent %+v, want %+v", c, want)
			}
		case <-time.After(patience):
			t.Fatal("no push")
		}
	}
	wantPush(ballot.Counts{}) // on connecting
	var took []time.Duration
	for i := range 10 {
		start := time.Now()
		r.vote(ballot.Dogs)
		wantPush(ballot.Counts{Dogs: int64(i) + 1})
		took = append(took, time.Since(start).Round(100*time.Microsecond))
	}
	t.Logf("from click to push: %v", took)

	// While no worker runs, the receipt says that the vote is queued; then, that it is on the screen.
	r.must(r.Worker.Stop(t.Context()))
	vote := r.vote(ballot.Cats)
	url := r.Result.URL("/votes/" + vote.Vote.String() + "?entry=" + vote.Entry)
	var queued, shown receipt
	r.must(r.get(url, &queued))
	if queued.State != "queued" || queued.Counted || queued.Pet != "cats" || queued.CastAt.IsZero() ||
		queued.QueuedAt.IsZero() || queued.TraceID != "" { // not sampled
		t.Errorf("without a worker: %+v", queued)
	}
	for _, at := range []string{vote.Vote.String(), uuid.NewString() + "?entry=" + vote.Entry} {
		r.must(r.wantStatus(r.Result.URL("/votes/"+at), http.StatusServiceUnavailable)) // queued or unknown
	}
	r.must(r.Worker.Start(t.Context()))
	r.eventually(func() error {
		shown = receipt{}
		if err := r.get(url, &shown); err != nil || shown.State != "shown" {
			return fmt.Errorf("%+v, %v", shown, err)
		}
		return nil
	})
	// Redis counts milliseconds.
	times := []time.Time{shown.CastAt.Truncate(time.Millisecond), shown.QueuedAt, shown.StoredAt, shown.ShownAt}
	if shown.ID != vote.Vote.String() || !shown.Counted || shown.Pet != "cats" || shown.TraceID != "" ||
		!shown.QueuedAt.Equal(queued.QueuedAt) || !slices.IsSortedFunc(times, time.Time.Compare) {
		t.Errorf("at last %+v", shown)
	}

	var history struct {
		From, To time.Time
		Minutes  []minute
	}
	r.must(r.get(r.Result.URL("/api/history"), &history))
	var cats int64
	for _, m := range history.Minutes {
		cats += m.Cats
	}
	if len(history.Minutes) != 60 || cats != 1 || history.To.Sub(history.From) != 59*time.Minute {
		t.Errorf("history from %v to %v: %d minutes, %d votes for cats", history.From, history.To, len(history.Minutes), cats)
	}
	unknown := "/votes/" + uuid.NewString()
	for path, want := range map[string]int{
		unknown: 404, "/votes/1": 400, "/api/history?minutes=0": 400, "/api/history?minutes=1441": 400,
		"/api/history?minutes=1440": 200, "/nothing": 404, "/healthz": 200, "/readyz": 200,
	} {
		if err := r.wantStatus(r.Result.URL(path), want); err != nil {
			t.Error(err)
		}
	}
	page := r.fetch(http.MethodGet, r.Result.URL("/"), "")
	csp := page.Header.Get("Content-Security-Policy")
	if page.StatusCode != http.StatusOK || csp == "" || strings.Contains(csp, "unsafe") {
		t.Errorf("%s, content security policy %q", page.Status, csp)
	}
	// Without Redis the receipts of stored votes remain, and others may be in the queue.
	r.must(r.Redis.Kill())
	r.must(r.wantStatus(url, http.StatusOK))
	r.must(r.wantStatus(r.Result.URL(unknown), http.StatusServiceUnavailable))
	r.must(r.wantStatus(r.Result.OpsURL("/readyz"), http.StatusOK))
}
