package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestArgumentsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{{"more"}, {"-run", "("}, {"-run", "nosuchrow"}, {"-quick=perhaps"}} {
		var said bytes.Buffer
		if code := run(t.Context(), args, &bytes.Buffer{}, &said); code != 2 || said.Len() == 0 {
			t.Errorf("%q: exit status %d, %s", args, code, &said)
		}
	}
	var said bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, &bytes.Buffer{}, &said); code != 0 || !strings.Contains(said.String(), "  accept ") {
		t.Errorf("-help: exit status %d, %s", code, &said)
	}
}

func TestALimitIsJudgedByTheRatioOrByTheValueItself(t *testing.T) {
	f := figure{Name: "votes", Unit: "/s", Value: 60}
	for _, c := range []struct {
		figure
		want verdict
	}{
		{f.against("bare", 100).atLeast(0.55), met}, {f.against("bare", 120).atLeast(0.55), missed},
		{f.atMost(60), met}, {f.atMost(59), missed}, {f, ""},
		{figure{Name: "nothing", Unit: "ms", Value: math.NaN()}.atMost(1), missed},
	} {
		if c.Verdict != c.want {
			t.Errorf("%s: want %q", c.figure, c.want)
		}
	}
}

func TestARunWithErrorsGivesNoFigureAndStatus1(t *testing.T) {
	defer func(all []row) { rows = all }(rows)
	rows = []row{
		{"good", "a row without errors", func(context.Context, *bench) ([]figure, error) {
			return []figure{figure{Name: "fine", Unit: "ms", Value: 1}.atMost(2)}, nil
		}},
		{"bad", "a row with errors", func(context.Context, *bench) ([]figure, error) {
			return []figure{figure{Name: "wrong", Unit: "ms", Value: 1}.atMost(2)}, os.ErrDeadlineExceeded
		}},
		{"absent", "a row without its tool", func(context.Context, *bench) ([]figure, error) { return nil, errNotMeasured }},
	}
	for only, want := range map[string]int{"": 1, "good|absent": 0} {
		dir := t.TempDir()
		var out, progress bytes.Buffer
		if code := run(t.Context(), []string{"-out", dir, "-run", only}, &out, &progress); code != want {
			t.Errorf("-run %q: exit status %d, want %d: %s", only, code, want, &progress)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "bench.json"))
		if err != nil {
			t.Fatal(err)
		}
		var r report
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
		markdown, err := os.ReadFile(filepath.Join(dir, "bench.md"))
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"the table": out.String(), "bench.json": string(raw), "bench.md": string(markdown)} {
			if !strings.Contains(text, "fine") || !strings.Contains(text, "not measured") || strings.Contains(text, "wrong") {
				t.Errorf("%s says %s", name, text)
			}
		}
		if r.Machine.Cores < 1 || strings.Contains(out.String(), "refused") != (want == 1) {
			t.Errorf("machine %+v, the table says\n%s", r.Machine, &out)
		}
	}
}

func TestAVoterUnderstandsNetHTTPAndNotesEveryOtherStatus(t *testing.T) {
	c, status, _ := faced(t)
	a, err := c.vote(t.Context(), 20*time.Millisecond)
	if err != nil || a.accepted < 3 || len(a.times) != a.accepted {
		t.Errorf("%d accepted, %d times, %v", a.accepted, len(a.times), err)
	}
	status.Store(http.StatusServiceUnavailable)
	if _, err := c.vote(t.Context(), 20*time.Millisecond); err == nil {
		t.Error("a refusal is no error")
	}
	if _, err := c.follow(t.Context(), schedule{start: time.Now(), interval: time.Microsecond, votes: 30}); err == nil {
		t.Error("a refusal of a vote that was due is no error")
	}
}

func TestAnOfferCountsWhatWasSentAndWhatWasRefusedInGoodOrder(t *testing.T) {
	c, status, retry := faced(t)
	soon := func() schedule { return schedule{start: time.Now(), interval: 10 * time.Millisecond, votes: 30} }
	if a, err := c.offer(t.Context(), soon()); err != nil || a.sent != 30 || a.accepted != 30 || len(a.times) != 30 || a.shed != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	status.Store(http.StatusServiceUnavailable)
	if a, err := c.offer(t.Context(), soon()); err != nil || a.sent != 30 || a.accepted != 0 || a.shed != 30 {
		t.Errorf("%+v, %v", a, err)
	}
	retry.Store(false)
	if _, err := c.offer(t.Context(), soon()); !errors.Is(err, errRetryAfter) {
		t.Errorf("503 without Retry-After: %v", err)
	}
}

func TestAVoteThatNoConnectionIsFreeForIsNotSaidToBeSent(t *testing.T) {
	c, _, _ := faced(t)
	a, err := c[:1].offer(t.Context(), schedule{start: time.Now(), interval: time.Nanosecond, votes: 100_000})
	if err != nil || a.sent > 10_000 || a.accepted != a.sent {
		t.Errorf("of 100,000 votes within 0.1 ms %d were sent, %d accepted, %v", a.sent, a.accepted, err)
	}
}

// faced are three voters before a server that answers with a status.
func faced(t *testing.T) (c crowd, status *atomic.Int32, retry *atomic.Bool) {
	t.Helper()
	status, retry = new(atomic.Int32), new(atomic.Bool)
	status.Store(http.StatusOK)
	retry.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if retry.Load() {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(int(status.Load()))
		answerBare(w, r)
	}))
	t.Cleanup(server.Close)
	c, err := gather(t.Context(), server.Listener.Addr().String(), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.leave(); err != nil {
			t.Error(err)
		}
	})
	return c, status, retry
}

func TestAScreenTimesEachVoteByTheFirstTotalThatHoldsIt(t *testing.T) {
	s := &screen{skip: 1, schedule: schedule{start: time.Now(), interval: 10 * time.Millisecond, votes: 4, before: 100}}
	s.behind.Store(1)
	v := &viewer{screen: s}
	v.show([]byte(`":50,"cats":30,"lizards":20}`), s.start)
	v.show([]byte(`":51,"cats":31,"lizards":20}`), s.start.Add(15*time.Millisecond))
	if v.seen != 2 || s.counts[5].Load() != 1 || s.counts[15].Load() != 0 || s.behind.Load() != 1 {
		t.Errorf("after two of four votes %d are seen", v.seen)
	}
	v.show([]byte(`":60,"cats":34,"lizards":20}`), s.start.Add(40*time.Millisecond))
	if v.seen != 4 || s.behind.Load() != 0 || s.percentile(0.99) != 21 {
		t.Errorf("in the end %d are seen, p99 %v ms", v.seen, s.percentile(0.99))
	}
}

func TestNumbersAreShownShort(t *testing.T) {
	for v, want := range map[float64]string{0.4567: "0.46", 12.34: "12.3", 123.4: "123", 1234567.8: "1,234,568", 25: "25", -1500: "-1,500"} {
		if got := number(v); got != want {
			t.Errorf("%v is shown as %s", v, got)
		}
	}
	if m := median([]float64{9, 1, 5, 3}); m != 4 {
		t.Errorf("median %v", m)
	}
}
