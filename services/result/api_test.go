package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
	"petvote/shared/resilience"
	"petvote/shared/votestore"
)

// shelf is an archive that holds what a test puts there.
type shelf struct {
	minutes []votestore.Minute
	since   time.Time // what the history was asked for
	receipt votestore.Receipt
	asked   uuid.UUID
	err     error
}

func (s *shelf) History(_ context.Context, since time.Time) ([]votestore.Minute, error) {
	s.since = since
	return s.minutes, s.err
}

func (s *shelf) Receipt(_ context.Context, id uuid.UUID) (votestore.Receipt, error) {
	s.asked = id
	return s.receipt, s.err
}

// get asks the API, with an Accept header if there is one.
func get(t *testing.T, b *board, s *shelf, target string, accept ...string) *httptest.ResponseRecorder {
	t.Helper()
	a := &api{board: b, archive: s, page: newTestPage(t, "", "", view{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/tally", a.tally)
	mux.HandleFunc("GET /api/history", a.history)
	mux.HandleFunc("GET /votes/{id}", a.receipt)
	r := httptest.NewRequest(http.MethodGet, target, nil)
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
		b, box := newBoard()
		wantUnavailable(t, get(t, b, nil, "/api/tally"))
		box.counts = ballot.Counts{Dogs: 3, Cats: 2, Lizards: 1}
		if err := b.Refresh(t.Context(), votestore.Notice{}); err != nil {
			t.Fatal(err)
		}
		const fresh = `{"votes":{"dogs":3,"cats":2,"lizards":1},"total":6,"as_of":"2000-01-01T00:00:00Z","stale":false}`
		w := get(t, b, nil, "/api/tally")
		if body := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || body != fresh || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%d %s, want %s", w.Code, body, fresh)
		}
		time.Sleep(time.Minute)
		box.err = errAway
		if err := b.Refresh(t.Context(), votestore.Notice{}); err == nil {
			t.Fatal("no error")
		}
		w = get(t, b, nil, "/api/tally")
		if want := strings.Replace(fresh, "false", "true", 1); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("while the store is away: %d %s, want %s", w.Code, w.Body, want)
		}
	})
}

func TestHistoryHasEveryMinuteAlsoThoseWithoutVotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // at midnight, 1 January 2000
		time.Sleep(10*time.Hour + 42*time.Second)
		at := func(clock string) time.Time {
			m, err := time.Parse("2006-01-02 15:04", "2000-01-01 "+clock)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		s := &shelf{minutes: []votestore.Minute{
			{Start: at("09:55"), Counts: dogs(9)}, // before what was asked for
			{Start: at("09:56"), Counts: dogs(1)},
			{Start: at("09:59"), Counts: ballot.Counts{Cats: 2, Lizards: 3}},
			{Start: at("10:01"), Counts: dogs(9)}, // by a clock that is ahead
		}}
		w := get(t, nil, s, "/api/history?minutes=5")
		const want = `{"from":"2000-01-01T09:56:00Z","to":"2000-01-01T10:00:00Z","minutes":[` +
			`{"minute":"2000-01-01T09:56:00Z","dogs":1,"cats":0,"lizards":0},` +
			`{"minute":"2000-01-01T09:57:00Z","dogs":0,"cats":0,"lizards":0},` +
			`{"minute":"2000-01-01T09:58:00Z","dogs":0,"cats":0,"lizards":0},` +
			`{"minute":"2000-01-01T09:59:00Z","dogs":0,"cats":2,"lizards":3},` +
			`{"minute":"2000-01-01T10:00:00Z","dogs":0,"cats":0,"lizards":0}]}`
		if body := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || body != want {
			t.Errorf("%d\n%s\nwant\n%s", w.Code, body, want)
		}
		if !s.since.Equal(at("09:56")) {
			t.Errorf("read since %v", s.since)
		}
	})
}

func TestTheSpanOfTheHistoryIsOneMinuteToADay(t *testing.T) {
	b, _ := newBoard()
	for query, want := range map[string]int{"": 60, "?minutes=": 60, "?minutes=1": 1, "?minutes=1440": 1440} {
		w := get(t, b, &shelf{}, "/api/history"+query)
		var answer historyAnswer
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Minutes) != want {
			t.Errorf("%q: %d with %d minutes, %v, want %d", query, w.Code, len(answer.Minutes), err, want)
		}
	}
	for _, query := range []string{"0", "-1", "1441", "99999999999999999999", "ten", "1.5", "%00"} {
		s := &shelf{}
		w := get(t, b, s, "/api/history?minutes="+query)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "minutes must be a number from 1 to 1440") || !s.since.IsZero() {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	}
}

func TestWhatTheStoreSaysOfItsFailureStaysInside(t *testing.T) {
	for _, target := range []string{"/api/history", "/votes/" + testVoteID} {
		for _, err := range []error{errAway, errors.Join(resilience.ErrUnavailable, errAway), context.DeadlineExceeded} {
			wantUnavailable(t, get(t, nil, &shelf{err: err}, target))
		}
	}
}

var storedVote = votestore.Receipt{
	Vote:     ballot.Vote{ID: uuid.MustParse(testVoteID), Pet: ballot.Cats, CastAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
	StoredAt: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC), TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
}

func TestProgramsGetAReceiptInJSON(t *testing.T) {
	const counted = `{"id":"` + testVoteID + `","counted":true,"pet":"cats","cast_at":"2026-01-02T03:04:05Z",` +
		`"stored_at":"2026-01-02T03:04:06Z","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}`
	for _, accept := range [][]string{nil, {"*/*"}, {"application/json"}} {
		s := &shelf{receipt: storedVote}
		w := get(t, nil, s, "/votes/"+testVoteID, accept...)
		if body := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || body != counted || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("accepting %q: %d %s", accept, w.Code, body)
		}
		if s.asked.String() != testVoteID || w.Header().Get("Vary") != "Accept" {
			t.Errorf("asked for %v, header %v", s.asked, w.Header())
		}
	}
	w := get(t, nil, &shelf{err: votestore.ErrNoVote}, "/votes/"+testVoteID)
	if body := strings.TrimSpace(w.Body.String()); w.Code != http.StatusNotFound || body != `{"id":"`+testVoteID+`","counted":false}` {
		t.Errorf("not counted: %d %s", w.Code, body)
	}
}

func TestBrowsersGetAReceiptAsAPage(t *testing.T) {
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for name, c := range map[string]struct {
		shelf  *shelf
		status int
	}{
		"counted":     {&shelf{receipt: storedVote}, http.StatusOK},
		"not counted": {&shelf{err: votestore.ErrNoVote}, http.StatusNotFound},
	} {
		w := get(t, nil, c.shelf, "/votes/"+testVoteID, browser)
		if w.Code != c.status || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || w.Header().Get("Vary") != "Accept" {
			t.Errorf("%s: %d, header %v", name, w.Code, w.Header())
		}
		if body := w.Body.String(); !strings.HasPrefix(body, "<!") || !strings.Contains(body, testVoteID) {
			t.Errorf("%s:\n%s", name, body)
		}
	}
}

func TestAnAddressWithoutAnIDIsNotLookedUp(t *testing.T) {
	s := &shelf{receipt: storedVote}
	w := get(t, nil, s, "/votes/1")
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "a UUID") || s.asked != uuid.Nil {
		t.Errorf("%d %s, asked for %v", w.Code, w.Body, s.asked)
	}
}
