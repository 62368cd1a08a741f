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

	"petvote/infra/testenv"
	"petvote/infra/voters"
)

func TestBadArgumentsEndInStatus2(t *testing.T) {
	for _, args := range [][]string{{"more"}, {"-run", "("}, {"-run", "nosuchrow"}, {"-quick=perhaps"},
		{"-out", "/dev/null/bench"}} {
		var said bytes.Buffer
		if code := run(t.Context(), args, &bytes.Buffer{}, &said); code != 2 || said.Len() == 0 {
			t.Errorf("%q: exit status %d, %s", args, code, &said)
		}
	}
	var said bytes.Buffer
	code := run(t.Context(), []string{"-help"}, &bytes.Buffer{}, &said)
	if code != 0 || !strings.Contains(said.String(), "  accept ") {
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
	testenv.Slow(t)
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
		testenv.Must(t, err)
		var r report
		testenv.Must(t, json.Unmarshal(raw, &r))
		markdown, err := os.ReadFile(filepath.Join(dir, "bench.md"))
		testenv.Must(t, err)
		for name, text := range map[string]string{
			"the table": out.String(), "bench.json": string(raw), "bench.md": string(markdown),
		} {
			if !strings.Contains(text, "fine") || !strings.Contains(text, "not measured") || strings.Contains(text, "wrong") {
				t.Errorf("%s says %s", name, text)
			}
		}
		if !strings.Contains(r.Machine, "cores of") || strings.Contains(out.String(), "refused") != (want == 1) {
			t.Errorf("machine %q, the table says\n%s", r.Machine, &out)
		}
	}
}

func TestALoadCountsWhatWasSentAcceptedAndRefused(t *testing.T) {
	var status atomic.Int32
	retryAfter := "1"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(int(status.Load()))
		answerBare(w, r)
	}))
	t.Cleanup(server.Close)
	addr := server.Listener.Addr().String()
	offer := func(answer int, rate float64, d time.Duration) (*answers, error) {
		status.Store(int32(answer))
		l := newLoad(addr, 3)
		defer l.close()
		return l.offer(t.Context(), rate, d, 0)
	}
	status.Store(http.StatusOK)
	a, err := saturate(t.Context(), addr, 3, 20*time.Millisecond)
	if err != nil || a.accepted < 3 || a.latencies.TotalCount() != int64(a.accepted) {
		t.Errorf("saturated: %+v, %v", a, err)
	}
	a, err = offer(http.StatusOK, 100, 300*time.Millisecond)
	if err != nil || a.sent != 30 || a.accepted != 30 || a.shed != 0 {
		t.Errorf("offered: %+v, %v", a, err)
	}
	a, err = offer(http.StatusOK, 1e9, 100*time.Microsecond)
	if err != nil || a.sent > 10_000 || a.accepted != a.sent {
		t.Errorf("of 100,000 votes due within 0.1 ms %d were sent, %d accepted, %v", a.sent, a.accepted, err)
	}
	a, err = offer(http.StatusServiceUnavailable, 100, 300*time.Millisecond)
	if err != nil || a.sent != 30 || a.accepted != 0 || a.shed != 30 {
		t.Errorf("refused: %+v, %v", a, err)
	}
	if _, err := saturate(t.Context(), addr, 3, 20*time.Millisecond); err == nil {
		t.Error("a refusal under saturation is no error")
	}
	retryAfter = ""
	if _, err := offer(http.StatusServiceUnavailable, 100, 300*time.Millisecond); !errors.Is(err, errRetryAfter) {
		t.Errorf("503 without Retry-After: %v", err)
	}
	if _, err := offer(http.StatusInternalServerError, 100, 300*time.Millisecond); err == nil {
		t.Error("status 500 is no error")
	}
}

func TestAVoteIsTimedByTheFirstTotalThatHoldsIt(t *testing.T) {
	// Two votes a second from 1 s on, the first of them at 100.
	pushes := []voters.Push{{At: 1, Total: 100}, {At: 2.1, Total: 103}, {At: 2.7, Total: 120}}
	for n, want := range map[int]struct {
		count int64
		most  float64
	}{1: {0, 0}, 2: {1, 100}, 3: {2, 200}} {
		delays := newLatencies()
		recordDelays(delays, time.Second, 2, 4, pushes[:n], 100)
		if most := math.Round(milliseconds(delays, 100)); delays.TotalCount() != want.count || most != want.most {
			t.Errorf("after %d pushes: %d votes are timed, the slowest at %v ms", n, delays.TotalCount(), most)
		}
	}
}

func TestNumbersAreShownShort(t *testing.T) {
	for v, want := range map[float64]string{
		0.4567: "0.46", 12.34: "12.3", 123.4: "123", 1234567.8: "1,234,568", 25: "25", -1500: "-1,500",
	} {
		if got := number(v); got != want {
			t.Errorf("%v is shown as %s", v, got)
		}
	}
	if m := median([]float64{9, 1, 5, 3}); m != 4 {
		t.Errorf("median %v", m)
	}
}
