package systemtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"petvote/infra/platform"
	"petvote/infra/voters"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

func TestTheAnswersToAVote(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const jsonType = "application/json"
	key := uuid.NewString()
	tests := []struct {
		name, contentType, body string
		header                  map[string]string
		status                  int
		message                 string // "" for success
	}{
		{"accepted", jsonType, `{"pet":"dogs"}`, nil, 200, ""},
		{"accepted with charset", "application/json; charset=utf-8", `{"pet":"cats"}`, nil, 200, ""},
		{"accepted under its key", jsonType, `{"pet":"lizards"}`, map[string]string{"Idempotency-Key": key}, 200, ""},
		{"unknown pet", jsonType, `{"pet":"birds"}`, nil, 400, "Invalid pet choice"},
		{"no pet", jsonType, `{}`, nil, 400, "Invalid pet choice"},
		{"pet of another type", jsonType, `{"pet":1}`, nil, 400, "Invalid pet choice"},
		{"not JSON", jsonType, `pet=dogs`, nil, 400, "the body is not JSON"},
		{"empty", jsonType, ``, nil, 400, "the body is not JSON"},
		{"two values", jsonType, `{"pet":"dogs"}{"pet":"dogs"}`, nil, 400, "the body is not JSON"},
		{"no object", jsonType, `["dogs"]`, nil, 400, `the body is not a JSON object like {"pet":"dogs"}`},
		{"null", jsonType, `null`, nil, 400, `the body is not a JSON object like {"pet":"dogs"}`},
		{"key not a UUID", jsonType, `{"pet":"dogs"}`, map[string]string{"Idempotency-Key": "1"}, 400, "Idempotency-Key is not a UUID like 0190a6f0-7b7e-7c3a-9d2e-4b5f6a7c8d9e"},
		{"too large", jsonType, `{"pet":"` + strings.Repeat("x", 5000) + `"}`, nil, 413, "the body is larger than 4 KiB"},
		{"another type", "text/plain", `{"pet":"dogs"}`, nil, 415, "Content-Type must be application/json"},
		{"no type", "", `{"pet":"dogs"}`, nil, 415, "Content-Type must be application/json"},
		{"from another site", jsonType, `{"pet":"dogs"}`, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, "votes from other sites are not taken"},
	}
	traceResponse := regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-0[01]$`)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := post(t, r.Vote.URL("/vote"), tt.contentType, tt.body, tt.header)
			var a voteAnswer
			if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != jsonType {
				t.Errorf("status %d, type %q, answer %+v", resp.StatusCode, resp.Header.Get("Content-Type"), a)
			}
			if tt.message != "" {
				if a.Status != "error" || a.Message != tt.message {
					t.Errorf("answer %+v, want message %q", a, tt.message)
				}
				return
			}
			trace := traceResponse.FindStringSubmatch(resp.Header.Get("traceresponse"))
			if a.Status != "success" || trace == nil || trace[1] != a.TraceID {
				t.Errorf("answer %+v, traceresponse %q", a, resp.Header.Get("traceresponse"))
			}
			if id, err := uuid.Parse(a.ID); err != nil || tt.header == nil && id.Version() != 7 || tt.header != nil && a.ID != key {
				t.Errorf("id %q, %v", a.ID, err)
			}
		})
	}
	if st := r.drained(); st.Added != 3 {
		t.Errorf("%d votes are in the stream, want the 3 accepted ones", st.Added)
	}
}

func TestAFormPostLeadsBackToThePageThatSaysWhatHappened(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const formType = "application/x-www-form-urlencoded"
	for body, want := range map[string]string{"pet=cats": "Your vote for cats was accepted", "pet=birds": "nothing was counted", "%zz": "nothing was counted"} {
		resp := post(t, r.Vote.URL("/vote"), formType, body, nil)
		if resp.StatusCode != http.StatusSeeOther {
			t.Errorf("%q: status %d", body, resp.StatusCode)
			continue
		}
		page, err := http.Get(r.Vote.URL(resp.Header.Get("Location")))
		r.must(err)
		text, err := io.ReadAll(page.Body)
		r.must(err)
		_ = page.Body.Close()
		if !strings.Contains(string(text), want) {
			t.Errorf("%q: the page at %s does not say %q", body, resp.Header.Get("Location"), want)
		}
	}
	r.must(r.Redis.Kill())
	resp := post(t, r.Vote.URL("/vote"), formType, "pet=cats", nil)
	if where := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || !strings.Contains(where, "unavailable") {
		t.Errorf("without Redis: status %d to %q", resp.StatusCode, where)
	}
}

func TestAVoteShowsOnAnOpenPageWithinAMoment(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stream, err := http.Get(r.Result.URL("/events"))
	r.must(err)
	defer stream.Body.Close()
	if got := stream.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	pushes := make(chan ballot.Counts, 100)
	watching, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	go func() { _ = voters.SSE(watching, r.Result.URL(""), func(c ballot.Counts) { pushes <- c }) }()
	next := func() ballot.Counts {
		select {
		case c := <-pushes:
			return c
		case <-time.After(patience):
			t.Fatal("no push")
			return ballot.Counts{}
		}
	}
	if c := next(); c != (ballot.Counts{}) {
		t.Errorf("on connecting: %+v", c)
	}
	var took []time.Duration
	for i := range 10 {
		start := time.Now()
		status, _, _, err := cast(t.Context(), r.Vote.URL("/vote"), "dogs", "")
		if err != nil || status != http.StatusOK {
			t.Fatalf("%d, %v", status, err)
		}
		if c := next(); c != (ballot.Counts{Dogs: int64(i) + 1}) {
			t.Errorf("after vote %d: %+v", i+1, c)
		}
		took = append(took, time.Since(start).Round(100*time.Microsecond))
		time.Sleep(150 * time.Millisecond) // so that each vote has a push of its own
	}
	t.Logf("from click to push: %v", took)
}

func TestTheReadingSide(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, answer, _, err := cast(t.Context(), r.Vote.URL("/vote"), "lizards", "")
	r.must(err)
	r.drained()
	var receipt struct {
		ID       string    `json:"id"`
		Pet      string    `json:"pet"`
		Counted  bool      `json:"counted"`
		CastAt   time.Time `json:"cast_at"`
		StoredAt time.Time `json:"stored_at"`
		TraceID  string    `json:"trace_id"`
	}
	r.must(r.get(r.Result.URL("/votes/"+answer.ID), &receipt))
	if receipt.ID != answer.ID || receipt.Pet != "lizards" || !receipt.Counted || receipt.TraceID != answer.TraceID ||
		receipt.CastAt.IsZero() || receipt.StoredAt.IsZero() {
		t.Errorf("receipt %+v", receipt)
	}
	var history struct {
		From, To time.Time
		Minutes  []struct {
			Minute time.Time
			ballot.Counts
		}
	}
	r.must(r.get(r.Result.URL("/api/history"), &history))
	var sum int64
	for _, m := range history.Minutes {
		sum += m.Lizards
	}
	if len(history.Minutes) != 60 || sum != 1 || history.To.Sub(history.From) != 59*time.Minute {
		t.Errorf("history from %v to %v: %d minutes, %d votes", history.From, history.To, len(history.Minutes), sum)
	}
	for path, want := range map[string]int{
		"/votes/" + uuid.NewString(): 404, "/votes/1": 400, "/api/history?minutes=0": 400, "/api/history?minutes=1441": 400,
		"/api/history?minutes=1440": 200, "/": 200, "/nothing": 404, "/healthz": 200, "/readyz": 200,
	} {
		if err := wantStatus(r.Result.URL(path), want); err != nil {
			t.Error(err)
		}
	}
	page, err := http.Get(r.Result.URL("/"))
	r.must(err)
	defer page.Body.Close()
	if csp := page.Header.Get("Content-Security-Policy"); csp == "" || strings.Contains(csp, "unsafe") {
		t.Errorf("content security policy %q", csp)
	}
}

// While no worker runs the receipt says that the vote waits; then, that its number is on the screen. Without Redis it goes on
// saying that, and says nothing of votes that may be in the queue.
func TestAReceiptFollowsTheVoteFromTheQueueToTheScreen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	type receipt struct {
		State    string    `json:"state"`
		Counted  bool      `json:"counted"`
		Pet      string    `json:"pet"`
		CastAt   time.Time `json:"cast_at"`
		QueuedAt time.Time `json:"queued_at"`
		StoredAt time.Time `json:"stored_at"`
		ShownAt  time.Time `json:"shown_at"`
		TraceID  string    `json:"trace_id"`
	}
	r.must(r.Worker.Stop(t.Context()))
	_, answer, _, err := cast(t.Context(), r.Vote.URL("/vote"), "cats", "")
	r.must(err)
	url := r.Result.URL("/votes/" + answer.ID)
	var queued receipt
	r.must(r.get(url, &queued))
	if queued.State != "queued" || queued.Counted || queued.Pet != "cats" || queued.CastAt.IsZero() || queued.QueuedAt.IsZero() || queued.TraceID != answer.TraceID {
		t.Errorf("without a worker: %+v", queued)
	}
	r.must(r.Worker.Start(t.Context()))
	var shown receipt
	r.eventually(func() error {
		shown = receipt{}
		if err := r.get(url, &shown); err != nil || shown.State != "shown" {
			return fmt.Errorf("%+v, %v", shown, err)
		}
		return nil
	})
	times := []time.Time{shown.CastAt.Truncate(time.Millisecond), shown.QueuedAt, shown.StoredAt, shown.ShownAt} // Redis counts milliseconds
	if !shown.Counted || !shown.QueuedAt.Equal(queued.QueuedAt) || !slices.IsSortedFunc(times, time.Time.Compare) {
		t.Errorf("at last %+v", shown)
	}
	r.must(r.Redis.Kill())
	r.must(wantStatus(url, http.StatusOK))
	r.must(wantStatus(r.Result.URL("/votes/"+uuid.NewString()), http.StatusServiceUnavailable))
	r.must(wantStatus(r.Result.OpsURL("/readyz"), http.StatusOK))
}

// The books: accepted = stored + duplicates + dead-lettered + waiting + in flight, read from the metrics as they are.
func TestTheBooksBalanceInTheMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := uuid.NewString()
	for range 3 {
		_, _, _, err := cast(t.Context(), r.Vote.URL("/vote"), "dogs", key)
		r.must(err)
	}
	r.must(r.RDB.Do(t.Context(), "xadd", votestream.Stream, "*", "poison", "1").Err())
	r.bounce(r.Worker, 0)
	r.during(100, func() { time.Sleep(500 * time.Millisecond) })
	r.drained()
	vote, result, worker := scrape(t, r.Vote), scrape(t, r.Result), scrape(t, r.Worker)
	accepted := vote["petvote_books_accepted_total"]
	sum := result["petvote_books_stored_total"] + result["petvote_books_duplicates_total"] + vote["petvote_books_dead_lettered_total"] +
		vote["petvote_stream_waiting"] + vote["petvote_stream_in_flight"]
	if accepted < 10 || sum != accepted || result["petvote_books_duplicates_total"] != 2 || vote["petvote_books_dead_lettered_total"] != 1 {
		t.Errorf("accepted %v, accounted for %v\nvote %v\nresult %v", accepted, sum, vote, result)
	}
	for name, metrics := range map[string]map[string]float64{
		"http_server_request_duration_seconds_count": vote, "messaging_client_operation_duration_seconds_count": vote, "petvote_breaker_state": vote,
		"petvote_queue_wait_seconds_count": worker, "petvote_store_duration_seconds_count": worker, "petvote_batch_size_count": worker,
		"petvote_pushes_total": result, "petvote_viewers": result, "petvote_push_duration_seconds_count": result, "go_goroutine_count": result,
	} {
		if _, ok := metrics[name]; !ok {
			t.Errorf("no metric %s", name)
		}
	}
}

// scrape sums each metric over its labels.
func scrape(t *testing.T, s *platform.Service) map[string]float64 {
	t.Helper()
	resp, err := http.Get(s.OpsURL("/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	found := map[string]float64{}
	line := regexp.MustCompile(`^([a-z_]+)(?:\{.*\})? ([0-9.e+-]+)$`)
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if m := line.FindStringSubmatch(lines.Text()); m != nil {
			var v float64
			if _, err := fmt.Sscan(m[2], &v); err == nil {
				found[m[1]] += v
			}
		}
	}
	return found
}

func post(t *testing.T, url, contentType, body string, header map[string]string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}
