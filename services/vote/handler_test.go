package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"petvote/shared/ballot"
	"petvote/shared/config"
	"petvote/shared/lifecycle"
	"petvote/shared/resilience"
	"petvote/shared/votestream"
	"petvote/shared/web"
)

const (
	testKey     = "0190a6f0-7b7e-7c3a-9d2e-4b5f6a7c8d9e"
	testTraceID = "4bf92f3577b34da6a3ce929d0e0e4736"
)

func (q *fakeQueue) handler() *voteHandler {
	return &voteHandler{queue: q, traceID: func(context.Context) string { return testTraceID }}
}

func (q *fakeQueue) post(ctx context.Context, change ...func(*http.Request)) *httptest.ResponseRecorder {
	return post(ctx, q.handler(), change...)
}

// post sends a vote for dogs under the test's key, in JSON.
func post(ctx context.Context, h http.Handler, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/vote", strings.NewReader(`{"pet":"dogs"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", testKey)
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnAcceptedVoteIsAnsweredWithItsIDTraceAndEntry(t *testing.T) {
	q := &fakeQueue{}
	w := q.post(t.Context())
	const want = `{"status":"success","id":"` + testKey + `","trace_id":"` + testTraceID +
		`","entry":"0/1767323045001-0"}` + "\n"
	if w.Code != http.StatusOK || w.Body.String() != want || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s, header %v", w.Code, w.Body, w.Header())
	}
	if len(q.messages) != 1 || q.messages[0].Vote.ID.String() != testKey || q.messages[0].Vote.Pet != ballot.Dogs {
		t.Errorf("published %+v", q.messages)
	}
}

func TestAVoteInFlightIsFinishedWhenTheVoterHangsUp(t *testing.T) {
	type key struct{}
	ctx, hangUp := context.WithCancel(context.WithValue(t.Context(), key{}, "trace"))
	q := &fakeQueue{publish: func(ctx context.Context) error {
		hangUp()
		if ctx.Value(key{}) != "trace" {
			t.Error("the context lost its values, among them the trace")
		}
		return ctx.Err()
	}}
	if w := q.post(ctx); w.Code != http.StatusOK || len(q.messages) != 1 {
		t.Errorf("status %d, %d votes published", w.Code, len(q.messages))
	}
}

func TestARefusalDoesNotRevealItsCause(t *testing.T) {
	for name, err := range map[string]error{
		"a failure":     errors.New("redis unavailable: dial tcp 10.1.2.3:6379: connection refused"),
		"out of memory": errors.New("OOM command not allowed when used memory > 'maxmemory' 10.1.2.3"),
		"the breaker":   errors.Join(resilience.ErrUnavailable, errors.New("circuit breaker is open 10.1.2.3")),
		"a foreign key": votestream.ErrForeignKey,
		"a time-out":    context.DeadlineExceeded,
		"the budget":    errors.Join(resilience.ErrUnavailable, context.DeadlineExceeded),
	} {
		w := (&fakeQueue{publish: func(context.Context) error { return err }}).post(t.Context())
		var answer map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Errorf("%s: %v in %s", name, err, w.Body)
		}
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || answer["status"] != "error" {
			t.Errorf("%s: %d %s, Retry-After %q", name, w.Code, w.Body, w.Header().Get("Retry-After"))
		}
		if len(answer) != 2 || answer["message"] != "Votes can't be taken right now; please try again" {
			t.Errorf("%s: the voter reads %q", name, answer)
		}
	}
}

func TestAnInvalidVoteIsNeverPublished(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"unknown pet":          {body(`{"pet":"birds"}`), 400},
		"pet in capitals":      {body(`{"pet":"Dogs"}`), 400},
		"no pet":               {body(`{"cat":"dogs"}`), 400},
		"null":                 {body(`null`), 400},
		"a string":             {body(`"dogs"`), 400},
		"broken off":           {body(`{"pet":"dogs"`), 400},
		"key without hyphens":  {header("Idempotency-Key", strings.ReplaceAll(testKey, "-", "")), 400},
		"key in braces":        {header("Idempotency-Key", "{"+testKey+"}"), 400},
		"key with a scheme":    {header("Idempotency-Key", "urn:uuid:"+testKey), 400},
		"key of zeros":         {header("Idempotency-Key", "00000000-0000-0000-0000-000000000000"), 400},
		"4 KiB and one byte":   {body(`{"pet":"dogs"}` + strings.Repeat(" ", maxBody-13)), 413},
		"another type":         {header("Content-Type", "text/plain"), 415},
		"a malformed type":     {header("Content-Type", ";;"), 415},
		"a form with a file":   {header("Content-Type", "multipart/form-data; boundary=x"), 415},
		"a form, unknown pet":  {form("pet=birds"), 303},
		"a form, bad key":      {form("pet=dogs&key=1"), 303},
		"a form, much too big": {form("pet=dogs&x=" + strings.Repeat("x", maxBody)), 303},
	} {
		q := &fakeQueue{}
		w := q.post(t.Context(), c.change)
		if w.Code != c.status || len(q.messages) > 0 {
			t.Errorf("%s: status %d, want %d; published %+v", name, w.Code, c.status, q.messages)
		}
		if w.Code == http.StatusSeeOther && w.Header().Get("Location") != noticePath(noticeInvalid, "", uuid.Nil) {
			t.Errorf("%s: leads to %s", name, w.Header().Get("Location"))
		}
	}
}

func TestABodyOfExactlyTheLimitIsAccepted(t *testing.T) {
	q := &fakeQueue{}
	w := q.post(t.Context(), body(`{"pet":"dogs"}`+strings.Repeat(" ", maxBody-14)))
	if w.Code != http.StatusOK || len(q.messages) != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAFormIsAnsweredWithANotice(t *testing.T) {
	for want, q := range map[string]*fakeQueue{
		noticeVoted:       {},
		noticeUnavailable: {publish: func(context.Context) error { return resilience.ErrUnavailable }},
	} {
		w := q.post(t.Context(), form("pet=cats&key="+testKey))
		path := noticePath(want, ballot.Cats, uuid.MustParse(testKey))
		if want == noticeVoted {
			path += "&entry=0/1767323045001-0"
		}
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != path {
			t.Errorf("%d to %s, want %s", w.Code, w.Header().Get("Location"), path)
		}
		if want == noticeVoted && (len(q.messages) != 1 || q.messages[0].Vote.ID.String() != testKey) {
			t.Errorf("published %+v, want the form's key as the id", q.messages)
		}
	}
}

func TestAClientAboveItsLimitIsAskedToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{}
		h := q.handler()
		h.limit = web.NewLimiter(0.1, 2)
		for range 2 {
			if w := post(t.Context(), h); w.Code != http.StatusOK {
				t.Errorf("within the burst: %d", w.Code)
			}
		}
		w := post(t.Context(), h)
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "10" ||
			!strings.HasPrefix(w.Body.String(), `{"status":"error","message":"`) {
			t.Errorf("above the limit: %d %s, header %v", w.Code, w.Body, w.Header())
		}
		w = post(t.Context(), h, form("pet=cats&key="+testKey))
		if path := noticePath(noticeUnavailable, ballot.Cats, uuid.MustParse(testKey)); w.Header().Get("Location") != path {
			t.Errorf("a form above the limit: %d to %s, want %s", w.Code, w.Header().Get("Location"), path)
		}
		if w := post(t.Context(), h, func(r *http.Request) { r.RemoteAddr = "198.51.100.1:1" }); w.Code != http.StatusOK {
			t.Errorf("another client: %d", w.Code)
		}
		time.Sleep(10 * time.Second)
		if w := post(t.Context(), h); w.Code != http.StatusOK || len(q.messages) != 4 {
			t.Errorf("after the wait: %d; %d published", w.Code, len(q.messages))
		}
	})
}

func TestVotesFromOtherSitesAreNotPublished(t *testing.T) {
	q := &fakeQueue{}
	front := web.NewFront(config.Public{})
	public := routes(newPage(settings{}, ""), q, front, http.NotFoundHandler(), lifecycle.NewHealth(nil))
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		r := httptest.NewRequest(http.MethodPost, "http://pets.example/vote", strings.NewReader("pet=dogs"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(name, value)
		w := httptest.NewRecorder()
		public.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || len(q.messages) > 0 {
			t.Errorf("%s: status %d, published %+v", name, w.Code, q.messages)
		}
		if !strings.Contains(w.Body.String(), `data-state="refused">Your vote was not accepted: `) {
			t.Errorf("%s: a person reads %s", name, w.Body)
		}
	}
}

// body replaces a request's body.
func body(text string) func(*http.Request) {
	return func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(text)) }
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// form makes a request a form post.
func form(text string) func(*http.Request) {
	return func(r *http.Request) {
		body(text)(r)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Del("Idempotency-Key")
	}
}

// fakeQueue is a publisher that keeps what it is given.
type fakeQueue struct {
	messages []votestream.Message
	publish  func(context.Context) error // nil: it takes everything
}

var testEntry = votestream.Entry{Queue: "0", ID: "1767323045001-0"}

func (q *fakeQueue) Publish(ctx context.Context, m votestream.Message) (votestream.Entry, error) {
	if q.publish != nil {
		if err := q.publish(ctx); err != nil {
			return votestream.Entry{}, err
		}
	}
	q.messages = append(q.messages, m)
	return testEntry, nil
}

func TestAVoteIsPublishedAsItIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{}
		vote, entry, err := castVote(t.Context(), q, ballot.Lizards, uuid.Nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(q.messages) != 1 || q.messages[0].Vote != vote || entry != testEntry {
			t.Errorf("published %+v of %+v as %v", q.messages, vote, entry)
		}
		if err := vote.Validate(); err != nil || vote.Pet != ballot.Lizards || vote.CastAt != time.Now().UTC() {
			t.Errorf("vote %+v, %v", vote, err)
		}
	})
}

func TestIDsAreUUIDv7InTheOrderOfCasting(t *testing.T) {
	q := &fakeQueue{}
	var last uuid.UUID
	for i := range 1000 {
		vote, _, err := castVote(t.Context(), q, ballot.Dogs, uuid.Nil)
		if err != nil {
			t.Fatal(err)
		}
		if vote.ID.Version() != 7 || bytes.Compare(vote.ID[:], last[:]) <= 0 {
			t.Fatalf("vote %d has id %v (version %d) after %v", i, vote.ID, vote.ID.Version(), last)
		}
		last = vote.ID
	}
}
