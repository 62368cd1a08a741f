package systemtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"petvote/infra/platform"
	"petvote/infra/wait"
)

// fault is a fault with the alerts that must report it, each by its name and its job, if any.
type fault struct {
	name       string
	begin, end func() error
	alerts     []string
	lasting    []string // alerts that end later than the test
	afterwards []string // alerts that fire once the fault is over, and end later than the test
}

// promtool tests the rules; here the services, the faults and the rules' waits are the real ones. Only the interval of
// scrapes and evaluations is 2 s instead of 5, which brings an alert up to 6 s earlier, and a killed worker stays a
// target, where its container would vanish. The log shows how soon each alert came.
func TestEachFaultMakesItsAlertsFireAndItsEndEndsThem(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	side := func(name string, queues int, do func(*rig, *prometheusServer)) { // by side: they wait more than they work
		all.Go(func() {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, func(o *platform.Options) { o.Queues = queues })
				p := r.watched(2 * time.Second) // enough for a scrape, which gives a server that hangs 1 s
				p.allUp()
				r.during(10, func() { do(r, p) })
				p.drained()
				p.sees("platform:petvote_books_imbalance:votes == 0")
			})
		})
	}
	paging := func(name string, queues int, faults func(*rig) []fault) {
		side(name, queues, func(r *rig, p *prometheusServer) {
			p.reports(faults(r)...)
			if paged := p.paged(); len(paged) == 0 || slices.Contains(paged, "BooksUnbalanced") {
				r.t.Errorf("these pages fired, though no vote was lost or doubled: %v", paged)
			}
		})
	}
	paging("PostgreSQL killed", 1, func(r *rig) []fault {
		return []fault{{name: "PostgreSQL killed", begin: r.Postgres.Kill, end: starts(r, r.Postgres),
			alerts: []string{"ResultsStale", "BreakerOpen worker", "QueueStalled"}}}
	})
	paging("Redis killed", 1, func(r *rig) []fault {
		return []fault{
			{name: "Redis killed", begin: r.Redis.Kill, end: starts(r, r.Redis), alerts: []string{"BreakerOpen vote"},
				lasting: []string{"VoteErrorBudgetBurnsFast vote", "VoteErrorBudgetBurnsSlowly vote"}},
			{name: "PostgreSQL frozen", begin: r.Postgres.Pause, end: r.Postgres.Resume, alerts: []string{"ResultsStale"}},
		}
	})
	paging("services", 2, func(r *rig) []fault {
		return []fault{
			{name: "worker killed", begin: r.Worker.Kill, end: starts(r, r.Worker),
				alerts:     []string{"TargetDown worker", "QueueStalled", "QueueDelayed"},
				afterwards: []string{"VoteLatencyBudgetBurnsFast", "VoteLatencyBudgetBurnsSlowly"}},
			{name: "result frozen", begin: r.Result.Pause, end: r.Result.Resume,
				alerts: []string{"TargetDown result", "MetricsAbsent", "MetricsAbsent result"}},
			{name: "second Redis full", begin: r.fills(1), end: r.memory(1, "256mb"),
				alerts: []string{"QueueUnavailable vote"}},
		}
	})
	side("nobody is paged but for the books", 2, func(r *rig, p *prometheusServer) {
		p.reports(
			fault{name: "poison", begin: r.poison, end: r.dropDeadLetters, alerts: []string{"DeadLetters"}},
			fault{name: "no append-only file", begin: r.appendOnly("no"), end: r.appendOnly("yes"),
				alerts: []string{"PreconditionUnmet worker"}},
			fault{name: "second Redis killed", begin: r.Redises[1].Kill, end: starts(r, r.Redises[1]),
				alerts: []string{"QueueUnavailable vote", "QueueUnavailable worker"}},
			fault{name: "exporter frozen", begin: p.exporter.Pause, end: p.exporter.Resume,
				alerts: []string{"ExporterDown redis"}},
			fault{name: "tally changed", begin: r.changesTally(1000), end: r.changesTally(-1000),
				alerts: []string{"BooksUnbalanced"}},
		)
		// That took longer than the windows of 30 s, so an alert that would fire is pending. A stutter of the machine may
		// make one so, but not for as long as its rule waits.
		p.sees(`absent(ALERTS{alertstate="pending", severity="page"})`)
		for _, alert := range p.paged() {
			// Its long windows hold a minute or two instead of hours, so a stutter is a large share of them.
			// VoteErrorBudgetBurnsFast has no such excuse: not one vote is refused.
			if alert != "BooksUnbalanced" && !strings.HasPrefix(alert, "VoteLatencyBudgetBurnsFast") {
				r.t.Errorf("%s fired without a fault to call a person for", alert)
			}
		}
	})
	all.Wait()
}

func starts(r *rig, p platform.Part) func() error {
	return func() error { return p.Start(r.t.Context()) }
}

// appendOnly sets appendonly of Redis. The worker notices that at its start; else it would within a minute.
func (r *rig) appendOnly(value string) func() error {
	return func() error {
		ctx := r.t.Context()
		return errors.Join(r.RDB.ConfigSet(ctx, "appendonly", value).Err(), r.Worker.Stop(ctx), r.Worker.Start(ctx))
	}
}

// memory limits that of a Redis.
func (r *rig) memory(place int, most string) func() error {
	return func() error { return r.RDBs[place].ConfigSet(r.t.Context(), "maxmemory", most).Err() }
}

// fills leaves a Redis no room. The vote service begins anew, so that it never sends a vote there and its breaker stays
// closed.
func (r *rig) fills(place int) func() error {
	return func() error {
		ctx := r.t.Context()
		return errors.Join(r.memory(place, "1mb")(), r.Vote.Stop(ctx), r.Vote.Start(ctx))
	}
}

// changesTally adds votes to the tally that nobody cast.
func (r *rig) changesTally(votes int) func() error {
	return func() error {
		_, err := r.DB.Exec(r.t.Context(), `update tally set votes = votes + $1 where pet = 'dogs'`, votes)
		return err
	}
}

// dropDeadLetters does what "worker dead drop" does.
func (r *rig) dropDeadLetters() error {
	letters, err := r.Queue.ListDeadLetters(r.t.Context(), "", 100)
	for _, letter := range letters {
		err = errors.Join(err, r.Queue.Drop(r.t.Context(), letter.ID))
	}
	return err
}

// reports begins independent faults together, and ends each one once all its alerts fire. It first waits until votes
// are stored and these alerts rest, so that no earlier fault and no stutter of the machine counts.
func (p *prometheusServer) reports(faults ...fault) {
	p.t.Helper()
	p.sees(`increase(petvote_books_stored_total[10s]) > 0`)
	var all errgroup.Group
	for _, f := range faults {
		firing := slices.Concat(f.alerts, f.lasting)
		p.must(p.awaitAlerts("before", "", firing))
		all.Go(func() error {
			return errors.Join(f.begin(), p.awaitAlerts(f.name, "firing", firing), f.end(), p.awaitAlerts(f.name, "", f.alerts),
				p.awaitAlerts(f.name, "firing", f.afterwards))
		})
	}
	p.must(all.Wait())
}

// awaitAlerts waits until each alert has been in a state, "" for over, and logs how soon it was.
func (p *prometheusServer) awaitAlerts(fault, state string, alerts []string) error {
	start, left := time.Now(), slices.Clone(alerts)
	return wait.Until(p.t.Context(), 5*patience, func(ctx context.Context) error {
		active, err := p.active()
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(left, func(alert string) bool {
			if active[alert] != state {
				return false
			}
			p.t.Logf("%-20s %-30s %-7s after %4.1f s", fault, alert, cmp.Or(state, "over"), time.Since(start).Seconds())
			return true
		})
		if len(left) > 0 {
			_ = wait.For(ctx, 200*time.Millisecond) // the rules are evaluated every 2 s
			return fmt.Errorf("%s: not %s: %v", fault, cmp.Or(state, "over"), left)
		}
		return nil
	})
}

// active returns the state of each active alert, "pending" or "firing".
func (p *prometheusServer) active() (map[string]string, error) { return p.alerts(`ALERTS`) }

// paged returns the alerts of severity page that have ever fired, from Prometheus's own record.
func (p *prometheusServer) paged() []string {
	p.t.Helper()
	fired, err := p.alerts(`last_over_time(ALERTS{alertstate="firing", severity="page"}[1h])`)
	p.must(err)
	return slices.Collect(maps.Keys(fired))
}

// alerts returns the states of the alerts that a query selects, by name and job; of a job's policies that of the worst.
func (p *prometheusServer) alerts(expr string) (map[string]string, error) {
	var data struct {
		Result []struct{ Metric map[string]string }
	}
	states := map[string]string{}
	err := p.query("query", url.Values{"query": {expr}}, &data)
	for _, one := range data.Result {
		name := strings.TrimSpace(one.Metric["alertname"] + " " + one.Metric["job"])
		if states[name] != "firing" {
			states[name] = one.Metric["alertstate"]
		}
	}
	return states, err
}
