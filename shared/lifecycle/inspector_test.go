package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/config"
)

func TestFindingsComeAndGoWithTheChecks(t *testing.T) {
	var log bytes.Buffer
	previous := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(previous) })
	synctest.Test(t, func(t *testing.T) {
		weak := []config.Finding{{Setting: "redis appendfsync", Problem: "it is everysec, so that a crash loses votes"}}
		type answer struct {
			found []config.Finding
			err   error
		}
		var next atomic.Pointer[answer]
		answers := func(found []config.Finding, err error) { next.Store(&answer{found, err}) }
		answers(nil, errors.New("connection refused"))
		runs := 0
		inspector := NewInspector(
			func(context.Context) ([]config.Finding, error) { runs++; a := next.Load(); return a.found, a.err },
			func(context.Context) ([]config.Finding, error) {
				return []config.Finding{{Setting: "clock", Problem: "it differs"}}, nil
			})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- inspector.Run(ctx) }()
		findings := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := inspector.Findings(); len(got) != want {
				t.Errorf("%d checks: findings %v, want %d", runs, got, want)
			}
		}
		findings(0, 1) // the dependency is down: the other check counts
		answers(weak, nil)
		findings(inspectAgain, 2)
		answers(nil, errors.New("connection refused"))
		findings(inspectEvery, 2) // unknown is not gone
		answers(nil, nil)
		findings(inspectAgain, 1)
		stop()
		if err := <-done; err != nil || runs != 4 {
			t.Errorf("Run returned %v after %d checks, want 4", err, runs)
		}
	})
	for _, once := range []string{
		`unmet" setting="redis appendfsync"`, `met" setting="redis appendfsync"`, `unmet" setting=clock`,
	} {
		if n := strings.Count(log.String(), `"precondition `+once); n != 1 {
			t.Errorf("logged %d times: %s\n%s", n, once, log.String())
		}
	}
}

func TestFindingsDegradeReadinessAndAreListedForOperators(t *testing.T) {
	h := NewHealth(nil, dependency("redis", true, true))
	var found []config.Finding
	h.AddFindings(func() []config.Finding { return found })
	if code, body := ask(t, h.Ready); code != http.StatusOK || body != `{"status":"ready"}` {
		t.Errorf("without findings: %d %s", code, body)
	}
	found = []config.Finding{{Setting: "redis appendonly", Problem: "it is off"}}
	if code, body := ask(t, h.Ready); code != http.StatusOK || body != `{"status":"degraded"}` {
		t.Errorf("in public: %d %s", code, body)
	}
	code, body := ask(t, h.ReadyDetailed)
	if code != http.StatusOK ||
		!strings.Contains(body, `"findings":[{"setting":"redis appendonly","problem":"it is off"}]`) ||
		!strings.Contains(body, `"reason":"redis appendonly: it is off"`) {
		t.Errorf("for operators: %d %s", code, body)
	}
	h.Drain()
	if code, body := ask(t, h.Ready); code != http.StatusServiceUnavailable || body != `{"status":"draining"}` {
		t.Errorf("while draining: %d %s", code, body)
	}
}
