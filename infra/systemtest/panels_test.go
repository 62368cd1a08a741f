package systemtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"petvote/infra/platform"
	"petvote/infra/testenv"
	"petvote/infra/voters"
	"petvote/infra/wait"
	"petvote/shared/ballot"
)

// variables are Grafana's, for the data source's timeInterval of 5 s, since 15 minutes on a screen of 1,000 points
// would be shorter: https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
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
	"Refusals by reason": 0.01, "Preconditions unmet": 1,
}

// A panel that queries a missing metric looks like one that has nothing to report. So every query of every dashboard is
// run, after load and after each fault that some panel is about, and must return a number.
func TestEveryPanelHasSomethingToShow(t *testing.T) {
	t.Parallel()
	files := testenv.Glob(t, "../../observability/grafana/dashboards/*.json")
	env := withEnv("OTEL_EXPORTER_OTLP_ENDPOINT="+newReceiver(t).url, "OTEL_BSP_SCHEDULE_DELAY=50")
	r := newRig(t, env, func(o *platform.Options) { o.Queues = 2 }) // some queries are about several
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
		p.trouble()
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
				if d.UID != "petvote-resilience" {
					continue
				}
				if want := worst[panel.Title]; highest < want {
					t.Errorf("%s, panel %q shows %v at its worst, want at least %v", d.Title, panel.Title, highest, want)
				}
				delete(missed, panel.Title)
			}
		}
		if len(missed) > 0 {
			t.Errorf("there are no such panels: %v", missed)
		}
		t.Logf("%d queries of %d dashboards", asked, len(dashboards))
	})
}

// wantShown waits until a query returns numbers, and returns the highest.
func (p *prometheusServer) wantShown(where string, q query) (highest float64) {
	p.t.Helper()
	expr := variables.Replace(q.Expr)
	p.eventually(func() error {
		series, numbers, err := p.ask(expr, q.Instant)
		if err != nil || len(numbers) == 0 {
			return fmt.Errorf("%s: %d series without a number, %w:\n%s", where, series, err, expr)
		}
		traces := 0
		if q.Exemplar {
			if traces, err = p.exemplars(expr); err != nil || traces == 0 {
				return fmt.Errorf("%s: no trace to open, %w:\n%s", where, err, expr)
			}
		}
		highest = slices.Max(numbers)
		p.t.Logf("%-84s %3d series %4d numbers up to %-12.5g %4d traces", where, series, len(numbers), highest, traces)
		return nil
	})
	return highest
}

// visited keeps a page open and requests the others twice a second, until the test's end.
func (r *rig) visited() {
	ctx, leave := context.WithCancel(r.t.Context())
	var visitors sync.WaitGroup
	r.t.Cleanup(func() { leave(); visitors.Wait() })
	visitors.Go(voters.NewViewer(ctx, r.Result.URL(""), voters.SSE, r.ledger.Began).Wait)
	visitors.Go(func() {
		for ctx.Err() == nil {
			for _, url := range []string{r.Vote.URL("/"), r.Result.URL("/"), r.Result.URL("/api/tally"),
				r.Result.URL("/api/history?minutes=60")} {
				_, _ = exchange(ctx, http.MethodGet, url, "") // fails in an outage
			}
			_ = wait.For(ctx, 500*time.Millisecond)
		}
	})
}

// trouble causes, one after the other, every fault that some panel is about, each until Prometheus has seen it.
func (p *prometheusServer) trouble() {
	p.t.Helper()
	ctx := p.t.Context()
	p.sees(`increase(petvote_books_stored_total[10s]) > 0`)
	repeated := p.vote(ballot.Cats)
	p.cast(repeated.Vote, repeated.Pet)
	p.must(p.poison())
	p.post(jsonType, `{"pet":"dogs"}`, "Origin", "http://elsewhere.example")
	p.must(p.RDB.ConfigSet(ctx, "appendfsync", "everysec").Err()) // a worker finds it at its start
	// What a worker counts after its last scrape is lost with it.
	p.sees(`petvote_books_duplicates_total > 0`, `petvote_books_dead_lettered_total > 0`)
	// A worker dies with votes in flight, and comes back under its name.
	p.must(p.Worker.Kill())
	p.crash(p.describe("worker", "CRASH_AT=after-read", "CRASH_AFTER=2"))
	p.sees(`up{job="worker"} == 0`, `petvote_stream_oldest_age_seconds > 1`)
	p.must(p.Worker.Start(ctx))
	p.sees(`up{job="worker"} == 1`)

	p.must(p.Postgres.Kill())
	p.sees(`petvote_breaker_state{job="worker", petvote_policy="postgres"} == 2`,
		`petvote_breaker_state{job="result", petvote_policy="postgres"} == 2`)
	p.must(p.Postgres.Start(ctx))
	p.drained()
	p.must(errors.Join(p.Redises[0].Kill(), p.Redises[1].Kill())) // one alone would refuse no vote
	p.sees(`petvote_breaker_state{job="vote"} == 2`, `petvote_breaker_state{job="worker", petvote_policy="redis-1"} == 2`)
	p.must(errors.Join(p.Redises[0].Start(ctx), p.Redises[1].Start(ctx)))
	p.eventually(func() error { return p.Vote.Ready(ctx) })
	p.drained()
	p.must(p.Result.Kill())
	p.sees(`up{job="result"} == 0`)
	p.must(p.Result.Start(ctx))
	p.allUp()
}
