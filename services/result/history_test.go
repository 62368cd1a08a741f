package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/ballot"
	"petvote/shared/votestore"
)

// fakeMinutes is a store of minutes that records its reads.
type fakeMinutes struct {
	voted []votestore.Minute
	err   error
	takes time.Duration

	mu    sync.Mutex
	reads int
	since time.Time // of the last read
}

func (f *fakeMinutes) History(ctx context.Context, since time.Time) ([]votestore.Minute, error) {
	f.mu.Lock()
	f.reads++
	f.since = since
	f.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(f.takes):
		return f.voted, f.err
	}
}

// ask requests the history, of which nothing has been read yet.
func (f *fakeMinutes) ask(t *testing.T, query string) *httptest.ResponseRecorder {
	t.Helper()
	return (&api{history: &history{store: f}}).get(t, "/api/history"+query)
}

type historyAnswer struct {
	From, To time.Time
	Minutes  []minuteVotes
}

func decodeHistory(t *testing.T, w *httptest.ResponseRecorder) (a historyAnswer) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s, %v", w.Code, w.Body, err)
	}
	return a
}

func TestHistoryHasEveryMinuteIncludingThoseWithoutVotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // at midnight, 1 January 2000
		time.Sleep(10*time.Hour + 42*time.Second)
		at := func(hour, minute int) time.Time { return time.Date(2000, 1, 1, hour, minute, 0, 0, time.UTC) }
		s := &fakeMinutes{voted: []votestore.Minute{
			{Start: at(9, 55), Counts: dogs(9)}, // before the minutes requested
			{Start: at(9, 56), Counts: dogs(1)},
			{Start: at(9, 59), Counts: ballot.Counts{Cats: 2, Lizards: 3}},
			{Start: at(10, 1), Counts: dogs(9)}, // by a clock that is ahead
		}}
		wantAnswer(t, s.ask(t, "?minutes=5"), http.StatusOK,
			`{"from":"2000-01-01T09:56:00Z","to":"2000-01-01T10:00:00Z","minutes":[`+
				`{"minute":"2000-01-01T09:56:00Z","dogs":1,"cats":0,"lizards":0},`+
				`{"minute":"2000-01-01T09:57:00Z","dogs":0,"cats":0,"lizards":0},`+
				`{"minute":"2000-01-01T09:58:00Z","dogs":0,"cats":0,"lizards":0},`+
				`{"minute":"2000-01-01T09:59:00Z","dogs":0,"cats":2,"lizards":3},`+
				`{"minute":"2000-01-01T10:00:00Z","dogs":0,"cats":0,"lizards":0}]}`)
		if want := at(10, 1).AddDate(0, 0, -1); !s.since.Equal(want) {
			t.Errorf("read since %v, want a day, %v", s.since, want)
		}
	})
}

func BenchmarkHistory(b *testing.B) {
	s := &fakeMinutes{}
	for i := range maxMinutes {
		minute := time.Now().Add(time.Duration(-i) * time.Minute)
		s.voted = append(s.voted, votestore.Minute{Start: minute, Counts: dogs(12345)})
	}
	h := &history{store: s}
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/api/history?minutes=1440", nil))
	}
}

func TestTheHistoryHasOneMinuteToADay(t *testing.T) {
	for query, want := range map[string]int{"": 60, "?minutes=": 60, "?minutes=1": 1, "?minutes=1440": 1440} {
		if a := decodeHistory(t, (&fakeMinutes{}).ask(t, query)); len(a.Minutes) != want {
			t.Errorf("%q: %d minutes, want %d", query, len(a.Minutes), want)
		}
	}
	for _, minutes := range []string{"0", "-1", "1441", "99999999999999999999", "ten", "1.5", "%00"} {
		s := &fakeMinutes{}
		w := s.ask(t, "?minutes="+minutes)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), errMinutes.Error()) || s.reads != 0 {
			t.Errorf("%q: %d %s", minutes, w.Code, w.Body)
		}
	}
}

// requestAtOnce sends n requests at once and returns the answers.
func requestAtOnce(t *testing.T, h *history, n int) []*httptest.ResponseRecorder {
	t.Helper()
	answers := make([]*httptest.ResponseRecorder, n)
	var requests sync.WaitGroup
	for i := range answers {
		requests.Go(func() { answers[i] = (&api{history: h}).get(t, "/api/history?minutes=1") })
	}
	requests.Wait()
	return answers
}

func TestTheHistoryIsReadOnceASecondHoweverManyRequestsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeMinutes{takes: 300 * time.Millisecond}
		h := &history{store: s}
		for second := 1; second <= 3; second++ {
			for range 2 {
				for _, w := range requestAtOnce(t, h, 50) {
					decodeHistory(t, w)
				}
				time.Sleep(350 * time.Millisecond)
			}
			if s.reads != second {
				t.Errorf("%d reads in %d seconds", s.reads, second)
			}
			time.Sleep(rereadAfter - s.takes - 700*time.Millisecond) // until a second after the read began
		}
	})
}

func TestAFailedReadOfTheHistoryIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeMinutes{takes: 300 * time.Millisecond, err: errDown}
		h := &history{store: s}
		for _, w := range requestAtOnce(t, h, 50) {
			wantUnavailable(t, w)
		}
		if s.reads != 1 {
			t.Errorf("%d reads for requests that waited together", s.reads)
		}
		s.err = nil
		decodeHistory(t, requestAtOnce(t, h, 1)[0])
		s.err = errDown
		time.Sleep(rereadAfter)
		wantUnavailable(t, requestAtOnce(t, h, 1)[0])
	})
}

func TestACancelledRequestDoesNotEndTheReadOfTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{store: &fakeMinutes{takes: time.Second}}
		first, cancel := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(func() { _, _ = h.lastDay(first) })
		synctest.Wait()
		both.Go(func() {
			if _, err := h.lastDay(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		cancel()
		both.Wait()
	})
}

func TestAMinuteThatBeginsAfterTheReadIsInTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // at midnight
		minute := time.Now().UTC()
		s := &fakeMinutes{voted: []votestore.Minute{
			{Start: minute.AddDate(0, 0, -1).Add(time.Minute), Counts: dogs(9)}, {Start: minute, Counts: dogs(1)},
		}}
		h := &history{store: s}
		check := func(first, lastButOne, last int64) {
			t.Helper()
			m := decodeHistory(t, (&api{history: h}).get(t, "/api/history?minutes=1440")).Minutes
			if len(m) != maxMinutes || m[0].Dogs != first || m[maxMinutes-2].Dogs != lastButOne ||
				m[maxMinutes-1].Dogs != last || !m[maxMinutes-1].Minute.Equal(time.Now().Truncate(time.Minute)) {
				t.Errorf("%d minutes from %+v to %+v, %+v", len(m), m[0], m[len(m)-2], m[len(m)-1])
			}
		}
		time.Sleep(time.Minute - time.Millisecond)
		check(9, 0, 1)
		time.Sleep(time.Millisecond)
		check(0, 1, 0)
		if s.reads != 1 {
			t.Errorf("%d reads", s.reads)
		}
	})
}
