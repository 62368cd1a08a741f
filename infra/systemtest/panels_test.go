package systemtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"petvote/infra/wait"
	"petvote/shared/votestream"
)

// step is the time between two points of a panel: the data source's timeInterval, since 15 minutes on a screen of 1,000
// points would be shorter. Grafana's variables follow from it:
// https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
const step = 5 * time.Second

var variables = strings.NewReplacer("$__rate_interval", "20s", "$__interval_ms", "5000", "$__interval", "5s")

// dashboard holds what the test needs of a dashboard.
type dashboard struct {
	UID, Title  string
	Annotations struct {
		List []struct {
			Name    string
			BuiltIn int // 1 for the one without a query that Grafana adds to every dashboard
			Target  query
		}
	}
	Panels []struct {
		Title   string
		Targets []query
	}
}

type query struct {
	RefID, Expr       string
	Instant, Exemplar bool
}

// worst is the least that each of these panels of the resilience dashboard must show at its worst: they are never
// empty, so a 0 would prove nothing.
var worst = map[string]float64{
	"Circuit breakers": 2, "Failed attempts": 0.1, "Retries": 0.1, "Breakers that opened": 1,
	"Share of votes refused": 0.01, "Tally age": 0.5, "Redeliveries": 1, "Dead letters by reason": 1,
	"Dead letters waiting": 1, "In the queue": 1, "Age of the oldest vote in the queue": 1,
}

// A panel that queries a missing metric looks like one that has nothing to report. So every query of every dashboard is
// run, after load and after each fault that some panel is about, and must return a number.
func TestEveryPanelHasSomethingToShow(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../observability/grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	r, _ := traced(t)
	dashboards := make([]dashboard, len(files))
	for i, file := range files {
		text, err := os.ReadFile(file)
		r.must(errors.Join(err, json.Unmarshal(text, &dashboards[i])))
	}
	// The repository's alerts wait longer than this test does; this one has their labels and fires at once.
	p := r.watched(time.Second, map[string]any{"alert": "AsInTheTest",
		"expr": `max by (job, petvote_policy) (petvote_breaker_state)`, "labels": map[string]string{"severity": "page"}})
	r.during(50, func() {
		r.visited()
		r.troubled()
		r.must(p.settled())
		asked, missed := 0, maps.Clone(worst)
		for _, d := range dashboards {
			for _, a := range d.Annotations.List {
				if a.BuiltIn == 0 {
					asked++
					p.wantShown(fmt.Sprintf("%s, mark %q", d.Title, a.Name), a.Target)
				}
			}
			for _, panel := range d.Panels {
				highest := 0.0
				for _, q := range panel.Targets {
					asked++
					highest = max(highest, p.wantShown(fmt.Sprintf("%s, panel %q, %s", d.Title, panel.Title, q.RefID), q))
				}
				if want := worst[panel.Title]; d.UID == "petvote-resilience" && highest < want {
					t.Errorf("%s, panel %q says %v at its worst, want %v at least", d.Title, panel.Title, highest, want)
				}
				if d.UID == "petvote-resilience" {
					delete(missed, panel.Title)
				}
			}
		}
		if len(missed) > 0 {
			t.Errorf("there are no such panels: %v", missed)
		}
		t.Logf("%d queries of %d dashboards", asked, len(dashboards))
	})
}

// wantShown checks that a query returns numbers, and returns the highest.
func (p *prometheusServer) wantShown(where string, q query) float64 {
	p.t.Helper()
	expr := variables.Replace(q.Expr)
	series, numbers, err := p.ask(expr, q.Instant, step)
	if err != nil || len(numbers) == 0 {
		p.t.Errorf("%s: %d series without a number, error %v:\n%s", where, series, err, expr)
		return 0
	}
	traces := 0
	if q.Exemplar {
		if traces, err = p.exemplars(expr); err != nil || traces == 0 {
			p.t.Errorf("%s: no trace to open, error %v:\n%s", where, err, expr)
		}
	}
	highest := slices.Max(numbers)
	p.t.Logf("%-84s %3d series %4d numbers up to %-12.5g %4d traces", where, series, len(numbers), highest, traces)
	return highest
}

// settled waits until the newest scrape of every target has succeeded.
func (p *prometheusServer) settled() error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		_, up, err := p.ask(`up`, true, 0)
		if err != nil {
			return err
		}
		if len(up) > 0 && !slices.Contains(up, 0) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("targets are up or not: %v", up)
		}
		time.Sleep(100 * time.Millisecond) // between two queries
	}
}

// visited keeps a page open and requests the others twice a second, until the test's end.
func (r *rig) visited() {
	r.t.Helper()
	ctx, leave := context.WithCancel(r.t.Context())
	ended := make(chan struct{})
	r.t.Cleanup(func() { leave(); <-ended })
	get := func(url string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		return http.DefaultClient.Do(req)
	}
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if viewer, err := get(r.Result.URL("/events")); err == nil {
				go func() { _, _ = io.Copy(io.Discard, viewer.Body); _ = viewer.Body.Close() }()
			}
			for range 10 {
				for _, url := range []string{r.Vote.URL("/"), r.Result.URL("/"), r.Result.URL("/api/tally"),
					r.Result.URL("/api/history?minutes=60")} {
					if resp, err := get(url); err == nil { // in an outage there is none, or a 503
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				}
				_ = wait.For(ctx, 500*time.Millisecond)
			}
		}
	}()
}

// troubled causes, one after the other, every fault that some panel is about. It takes about a minute.
func (r *rig) troubled() {
	r.t.Helper()
	ctx := r.t.Context()
	outage := step + time.Second // so that it shows, whenever it begins
	time.Sleep(outage)
	// A voter repeats a vote; an entry is not a vote.
	key := uuid.NewString()
	for range 2 {
		_, _, _, err := cast(ctx, r.Vote.URL("/vote"), "cats", key)
		r.must(err)
	}
	r.must(r.RDB.XAdd(ctx, &redis.XAddArgs{Stream: votestream.Stream, Values: []any{"nonsense", "1"}}).Err())
	time.Sleep(outage) // what a worker counts after its last scrape is lost with it
	// A worker dies with votes in flight, and comes back under its name.
	r.must(r.Worker.Kill())
	r.crash(r.describe("worker", "CRASH_AT=after-read", "CRASH_AFTER=2"))
	time.Sleep(outage)
	r.must(r.Worker.Start(ctx))
	// PostgreSQL and then Redis are down for long enough to open every breaker.
	r.bounce(r.Postgres, outage)
	r.drained()
	r.bounce(r.Redis, outage)
	r.eventually(func() error { return r.Vote.Ready(ctx) })
	r.drained()
	r.bounce(r.Result, outage)
	// Until the rates' windows of 20 s hold load without faults again.
	time.Sleep(4 * step)
}
