package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"petvote/shared/ballot"
	"petvote/shared/resilience"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// get requests from the API, with an Accept header if there is one.
func (a *api) get(t *testing.T, target string, accept ...string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	a.register(mux)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	for _, value := range accept {
		r.Header.Set("Accept", value)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

// wantAnswer checks an answer's status and body.
func wantAnswer(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if got := strings.TrimSpace(w.Body.String()); w.Code != status || got != body {
		t.Errorf("%d %s\nwant %d %s", w.Code, got, status, body)
	}
}

// wantUnavailable checks the answer to a failed read: when to come again, and nothing of the error's text.
func wantUnavailable(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	wantAnswer(t, w, http.StatusServiceUnavailable,
		`{"status":"error","message":"The votes can't be read right now; please try again"}`)
	if w.Header().Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
	}
}

func TestTheTallyIsUnavailableBeforeItsFirstReadAndServedEverAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, store := newTallyCache()
		a := &api{cache: c}
		wantUnavailable(t, a.get(t, "/api/tally"))
		store.counts = ballot.Counts{Dogs: 3, Cats: 2, Lizards: 1}
		refresh(t, c, store)
		const fresh = `{"votes":{"dogs":3,"cats":2,"lizards":1},"total":6,"as_of":"2000-01-01T00:00:00Z","stale":false}`
		wantAnswer(t, a.get(t, "/api/tally"), http.StatusOK, fresh)
		time.Sleep(time.Minute)
		store.err = errDown
		refresh(t, c, store)
		wantAnswer(t, a.get(t, "/api/tally"), http.StatusOK, strings.Replace(fresh, "false", "true", 1))
	})
}

func TestTheTextOfAnErrorIsNotSent(t *testing.T) {
	for _, err := range []error{errDown, errors.Join(resilience.ErrUnavailable, errDown), context.DeadlineExceeded} {
		wantUnavailable(t, (&api{history: &history{store: &fakeMinutes{err: err}}}).get(t, "/api/history"))
		wantUnavailable(t, (&journey{storeErrs: []error{err}, queueErr: err}).ask(t))
		wantUnavailable(t, (&journey{storeErrs: twice(votestore.ErrNoVote), queueErr: err}).ask(t))
	}
}

func TestPagesOfOtherOriginsReadReceiptsAndNothingElse(t *testing.T) {
	c, _ := newTallyCache()
	check := func(name string, w *httptest.ResponseRecorder, origin string) {
		if h := w.Header(); h.Get("Access-Control-Allow-Origin") != origin || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, header %v", name, w.Code, h)
		}
	}
	check("receipt", (&journey{}).ask(t), "*")
	check("page of a receipt", (&journey{}).ask(t, browser), "*")
	check("unknown", (&journey{storeErrs: twice(votestore.ErrNoVote), queueErr: votestream.ErrNotQueued}).ask(t), "*")
	check("no id", (&journey{}).api(t).get(t, "/votes/1"), "*")
	check("store unavailable", (&journey{storeErrs: []error{errDown}}).ask(t), "*")
	check("tally", (&api{cache: c}).get(t, "/api/tally"), "")
}
