package main

import (
	"context"
	"encoding/json"
	"errors"
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

// chart is a store of minutes that notes when it was read.
type chart struct {
	voted []votestore.Minute
	err   error
	takes time.Duration

	mu    sync.Mutex
	reads int
	since time.Time // what was asked for last
}

func (c *chart) History(ctx context.Context, since time.Time) ([]votestore.Minute, error) {
	c.mu.Lock()
	c.reads++
	c.since = since
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(c.takes):
		return c.voted, c.err
	}
}

// ask asks for the history, of which nothing has been read yet.
func (c *chart) ask(t *testing.T, query string) *httptest.ResponseRecorder {
	t.Helper()
	return (&api{history: &history{store: c}}).get(t, "/api/history"+query)
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
		s := &chart{voted: []votestore.Minute{
			{Start: at("09:55"), Counts: dogs(9)}, // before what was asked for
			{Start: at("09:56"), Counts: dogs(1)},
			{Start: at("09:59"), Counts: ballot.Counts{Cats: 2, Lizards: 3}},
			{Start: at("10:01"), Counts: dogs(9)}, // by a clock that is ahead
		}}
		w := s.ask(t, "?minutes=5")
		const want = `{"from":"2000-01-01T09:56:00Z","to":"2000-01-01T10:00:00Z","minutes":[` +
			`{"minute":"2000-01-01T09:56:00Z","dogs":1,"cats":0,"lizards":0},` +
			`{"minute":"2000-01-01T09:57:00Z","dogs":0,"cats":0,"lizards":0},` +
			`{"minute":"2000-01-01T09:58:00Z","dogs":0,"cats":0,"lizards":0},` +
			`{"minute":"2000-01-01T09:59:00Z","dogs":0,"cats":2,"lizards":3},` +
			`{"minute":"2000-01-01T10:00:00Z","dogs":0,"cats":0,"lizards":0}]}`
		if body := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || body != want {
			t.Errorf("%d\n%s\nwant\n%s", w.Code, body, want)
		}
		if want := at("10:01").AddDate(0, 0, -1); !s.since.Equal(want) {
			t.Errorf("read since %v, want a day, %v", s.since, want)
		}
	})
}

func TestTheSpanOfTheHistoryIsOneMinuteToADay(t *testing.T) {
	for query, want := range map[string]int{"": 60, "?minutes=": 60, "?minutes=1": 1, "?minutes=1440": 1440} {
		w := (&chart{}).ask(t, query)
		var answer historyAnswer
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Minutes) != want {
			t.Errorf("%q: %d with %d minutes, %v, want %d", query, w.Code, len(answer.Minutes), err, want)
		}
	}
	for _, query := range []string{"0", "-1", "1441", "99999999999999999999", "ten", "1.5", "%00"} {
		s := &chart{}
		w := s.ask(t, "?minutes="+query)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "minutes must be a number from 1 to 1440") || s.reads != 0 {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	}
}

// answers asks at once as often as n says, and returns the answers.
func answers(t *testing.T, h *history, n int) []*httptest.ResponseRecorder {
	t.Helper()
	got := make([]*httptest.ResponseRecorder, n)
	var asking sync.WaitGroup
	for i := range got {
		asking.Go(func() { got[i] = (&api{history: h}).get(t, "/api/history?minutes=1") })
	}
	asking.Wait()
	return got
}

func TestTheHistoryIsReadOnceASecondHoweverManyAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chart{takes: 300 * time.Millisecond}
		h := &history{store: c}
		for second := 1; second <= 3; second++ {
			for range 2 {
				for _, w := range answers(t, h, 50) {
					if w.Code != http.StatusOK {
						t.Fatalf("%d %s", w.Code, w.Body)
					}
				}
				time.Sleep(350 * time.Millisecond)
			}
			if c.reads != second {
				t.Errorf("%d reads in %d seconds", c.reads, second)
			}
			time.Sleep(rereadAfter - c.takes - 700*time.Millisecond) // until a second after the read began
		}
	})
}

func TestAHistoryThatCouldNotBeReadIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chart{takes: 300 * time.Millisecond, err: errDown}
		h := &history{store: c}
		for _, w := range answers(t, h, 50) {
			wantUnavailable(t, w)
		}
		if c.reads != 1 {
			t.Errorf("%d reads for those who waited together", c.reads)
		}
		c.err = nil
		if w := answers(t, h, 1)[0]; w.Code != http.StatusOK {
			t.Errorf("after that: %d %s", w.Code, w.Body)
		}
		c.err = errDown
		time.Sleep(rereadAfter)
		wantUnavailable(t, answers(t, h, 1)[0])
	})
}

func TestOneAskersLeavingDoesNotEndTheReadOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{store: &chart{takes: time.Second}}
		first, leave := context.WithCancelCause(t.Context())
		var both sync.WaitGroup
		both.Go(func() { _, _ = h.lastDay(first) })
		synctest.Wait()
		both.Go(func() {
			if _, err := h.lastDay(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		leave(errors.New("gone"))
		both.Wait()
	})
}

func TestAMinuteThatBeginsAfterTheReadIsInTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // at midnight
		minute := time.Now().UTC()
		c := &chart{voted: []votestore.Minute{{Start: minute.AddDate(0, 0, -1).Add(time.Minute), Counts: dogs(9)}, {Start: minute, Counts: dogs(1)}}}
		h := &history{store: c}
		time.Sleep(time.Minute - time.Millisecond)
		ask := func() (a historyAnswer) {
			w := (&api{history: h}).get(t, "/api/history?minutes=1440")
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || len(a.Minutes) != maxMinutes {
				t.Fatalf("%d with %d minutes, %v", w.Code, len(a.Minutes), err)
			}
			return a
		}
		if a := ask(); a.Minutes[0].Dogs != 9 || a.Minutes[maxMinutes-1].Dogs != 1 {
			t.Errorf("before: the first is %+v, the last %+v", a.Minutes[0], a.Minutes[maxMinutes-1])
		}
		time.Sleep(time.Millisecond)
		a := ask()
		if first, last := a.Minutes[0], a.Minutes[maxMinutes-1]; first.Dogs != 0 || last.Dogs != 0 || !last.Minute.Equal(minute.Add(time.Minute)) || a.Minutes[maxMinutes-2].Dogs != 1 {
			t.Errorf("after: the first is %+v, the last %+v", first, last)
		}
		if c.reads != 1 {
			t.Errorf("%d reads", c.reads)
		}
	})
}
