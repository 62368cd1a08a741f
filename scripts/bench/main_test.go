package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"petvote/infra/testenv"
	"petvote/infra/voters"
)

func TestBadArgumentsEndInStatus2(t *testing.T) {
	for _, args := range [][]string{{"more"}, {"-run", "("}, {"-run", "nosuchrow"}, {"-quick=perhaps"}, {"-queues", "0"}} {
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
	f, unknown := figure{name: "votes", unit: "/s", value: 60}, figure{name: "CPU", unit: "µs", value: math.NaN()}
	for _, c := range []struct {
		figure
		want verdict
	}{
		{f.against("bare", 100).ratioAtLeast(0.55), met}, {f.against("bare", 120).ratioAtLeast(0.55), missed},
		{f.against("bare", 100).ratioAtMost(0.6), met}, {f.against("bare", 90).ratioAtMost(0.6), missed},
		{f.atMost(60), met}, {f.atMost(59), missed}, {f, ""},
		{f.atMost(60).against("bare", 100), met}, {f.against("bare", 100).atMost(59), missed},
		{unknown.atMost(1), notMeasured}, {f.against("no CPU time", math.NaN()).ratioAtMost(1), notMeasured},
		{unknown.against("bare", 100).ratioAtLeast(1), notMeasured},
	} {
		if c.verdict != c.want {
			t.Errorf("%s: want %q", c.figure, c.want)
		}
	}
}

func TestARunWithErrorsGivesNoFigureAndStatus1(t *testing.T) {
	defer func(all []row) { rows = all }(rows)
	rows = []row{
		{"good", "a row without errors", func(context.Context, *bench) ([]figure, error) {
			return []figure{figure{name: "fine", unit: "ms", value: 1}.atMost(2)}, nil
		}},
		{"bad", "a row with errors", func(context.Context, *bench) ([]figure, error) {
			return []figure{figure{name: "wrong", unit: "ms", value: 1}.atMost(2)}, os.ErrDeadlineExceeded
		}},
		{"absent", "a row without its tool", func(context.Context, *bench) ([]figure, error) { return nil, errNotMeasured }},
		{"no /proc", "a row without CPU time", func(context.Context, *bench) ([]figure, error) {
			return []figure{figure{name: "unknown", unit: "µs", value: math.NaN()}.atMost(2)}, nil
		}},
	}
	for only, want := range map[string]int{"": 1, "good|absent|/proc": 0} {
		var out, progress bytes.Buffer
		if code := run(t.Context(), []string{"-run", only}, &out, &progress); code != want {
			t.Errorf("-run %q: exit status %d, want %d: %s", only, code, want, &progress)
		}
		if table := out.String(); !strings.Contains(table, "cores of") || !strings.Contains(table, "| fine ") ||
			!strings.Contains(table, "| not measured") || strings.Contains(table, "wrong") ||
			strings.Contains(table, "| refused") != (want == 1) {
			t.Errorf("-run %q: the table says\n%s", only, table)
		}
	}
}

func TestALoadAcceptsNoAnswerButWhole200s(t *testing.T) {
	var status atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(int(status.Load()))
		answerBare(w, r)
	}))
	t.Cleanup(server.Close)
	for answer, fails := range map[int]bool{http.StatusOK: false, http.StatusServiceUnavailable: true} {
		status.Store(int32(answer))
		votes, took, err := load(t.Context(), server.Listener.Addr().String(), 3, 0, 20*time.Millisecond)
		if (err != nil) != fails || !fails && (votes < 3 || took < 20*time.Millisecond) {
			t.Errorf("status %d: %d votes in %v, %v", answer, votes, took, err)
		}
	}
	status.Store(http.StatusOK)
	votes, took, err := load(t.Context(), server.Listener.Addr().String(), 3, 100, 200*time.Millisecond)
	if err != nil || votes != 20 || took < 190*time.Millisecond {
		t.Errorf("at 100 votes/s: %d in %v, %v", votes, took, err)
	}
	for _, answer := range []string{"HTTP/1.1 200 OK\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", "HTTP"} {
		client, service := net.Pipe()
		go func() {
			_, _ = service.Read(make([]byte, 100)) // the request
			_, _ = service.Write([]byte(answer))
			_ = service.Close()
		}()
		if err := (&voter{conn: client, request: []byte("vote")}).vote(); err == nil {
			t.Errorf("%q is taken for an answer", answer)
		}
	}
}

func TestCPUTimeIsThatOfAProcessAndItsChildrenButNotOfThePlatformForThisOne(t *testing.T) {
	before := cpuTime([]process{self{}})
	if math.IsNaN(before) {
		t.Skip("no /proc")
	}
	for script, least := range map[string]float64{
		"sh -c 'ulimit -t 1; while :; do :; done'; echo; read -r _":                        0.5,  // the child has ended
		"sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo; read -r _'; true": 0.05, // the child lives
	} {
		parent := exec.CommandContext(t.Context(), "sh", "-c", script)
		end, errIn := parent.StdinPipe()
		burnt, errOut := parent.StdoutPipe()
		testenv.Must(t, errors.Join(errIn, errOut, parent.Start()))
		_, err := burnt.Read(make([]byte, 1))
		testenv.Must(t, err)
		if used := cpuTime([]process{pid(parent.Process.Pid)}); used < least {
			t.Errorf("%v s of CPU for %s", used, script)
		}
		testenv.Must(t, end.Close())
		_ = parent.Wait() // the end of its input may be an error
	}
	if used := cpuTime([]process{self{}}) - before; used > 0.9 {
		t.Errorf("this program used %v s", used)
	}
}

type pid int

func (p pid) PID() int { return int(p) }

func TestAVoteIsTimedByTheFirstTotalThatHoldsIt(t *testing.T) {
	// Two votes a second from 1 s on, the first of them at 100.
	pushes := []voters.Push{{At: 1, Total: 100}, {At: 2.1, Total: 103}, {At: 2.7, Total: 120}}
	for n, want := range map[int]struct {
		count int64
		most  float64
	}{1: {0, 0}, 2: {1, 100}, 3: {2, 200}} {
		delays := newDelays()
		recordDelays(delays, time.Second, 2, 4, pushes[:n], 100)
		if most := math.Round(milliseconds(delays, 100)); delays.TotalCount() != want.count || most != want.most {
			t.Errorf("after %d pushes: %d votes are timed, the slowest at %v ms", n, delays.TotalCount(), most)
		}
	}
}

func TestNumbersAreShownShort(t *testing.T) {
	for v, want := range map[float64]string{
		math.NaN(): "—", 0.4567: "0.46", 12.34: "12.3", 123.4: "123", 1234567.8: "1,234,568", 25: "25", -1500: "-1,500",
	} {
		if got := number(v); got != want {
			t.Errorf("%v is shown as %s", v, got)
		}
	}
	if m := median([]float64{9, 1, 5, 3}); m != 4 {
		t.Errorf("median %v", m)
	}
}
