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

	"petvote/shared/ballot"
	"petvote/shared/resilience"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// get asks the API, with an Accept header if there is one.
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

// wantUnavailable checks the answer to what can't be read: when to come again, and none of the words of the failure.
func wantUnavailable(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	const want = `{"status":"error","message":"The votes can't be read right now; please try again"}`
	if body := strings.TrimSpace(w.Body.String()); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || body != want {
		t.Errorf("%d, Retry-After %q, %s", w.Code, w.Header().Get("Retry-After"), body)
	}
}

func TestTheTallyIsUnavailableBeforeItsFirstReadAndServedEverAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, box := newTallyCache()
		a := &api{cache: b}
		wantUnavailable(t, a.get(t, "/api/tally"))
		box.counts = ballot.Counts{Dogs: 3, Cats: 2, Lizards: 1}
		if err := b.Refresh(t.Context(), votestore.Notice{}); err != nil {
			t.Fatal(err)
		}
		const fresh = `{"votes":{"dogs":3,"cats":2,"lizards":1},"total":6,"as_of":"2000-01-01T00:00:00Z","stale":false}`
		w := a.get(t, "/api/tally")
		if body := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || body != fresh || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%d %s, want %s", w.Code, body, fresh)
		}
		time.Sleep(time.Minute)
		box.err = errDown
		if err := b.Refresh(t.Context(), votestore.Notice{}); err == nil {
			t.Fatal("no error")
		}
		w = a.get(t, "/api/tally")
		if want := strings.Replace(fresh, "false", "true", 1); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("while the store is away: %d %s, want %s", w.Code, w.Body, want)
		}
	})
}

func TestWhatTheServersSayOfTheirFailureStaysInside(t *testing.T) {
	for _, err := range []error{errDown, errors.Join(resilience.ErrUnavailable, errDown), context.DeadlineExceeded} {
		wantUnavailable(t, (&api{history: &history{store: &chart{err: err}}}).get(t, "/api/history"))
		wantUnavailable(t, (&journey{storeErrs: []error{err}, queueErr: err}).ask(t))
		wantUnavailable(t, (&journey{storeErrs: twice(votestore.ErrNoVote), queueErr: err}).ask(t))
	}
}

func TestPagesOfOtherOriginsReadReceiptsAndNothingElse(t *testing.T) {
	b, _ := newTallyCache()
	for name, w := range map[string]*httptest.ResponseRecorder{
		"receipt": (&journey{}).ask(t), "page of a receipt": (&journey{}).ask(t, browser),
		"unknown": (&journey{storeErrs: twice(votestore.ErrNoVote), queueErr: votestream.ErrNotQueued}).ask(t),
		"no id":   (&journey{}).api(t).get(t, "/votes/1"), "store away": (&journey{storeErrs: []error{errDown}}).ask(t),
	} {
		if w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, header %v", name, w.Code, w.Header())
		}
	}
	if w := (&api{cache: b}).get(t, "/api/tally"); w.Header().Get("Access-Control-Allow-Origin") != "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("tally: %d, header %v", w.Code, w.Header())
	}
}
