package systemtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"petvote/infra/platform"
	"petvote/infra/wait"
	"petvote/shared/votestream"
)

// quiet is longer than it takes any alert of severity page to fire, the SLOs' long windows aside: at most a window of 30 s
// and a wait of 30 s.
const quiet = time.Minute + 5*time.Second

// Whoever is on call learns of each fault, and learns that it is over; nobody is called for nothing. The rules are
// promtool's to test; here their metrics are those of the real services, their faults real, and their waits as shipped. Only
// the times between two scrapes and between two evaluations are shorter, 2 s for 5 s, so that an alert comes up to 6 s earlier;
// and a worker that is gone stays a target, where its container would be none. The log tells how soon each alert came.
func TestEachFaultMakesItsAlertsFireAndItsEndEndsThem(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]func(*rig) [][]*fault{
		"PostgreSQL killed": func(r *rig) [][]*fault {
			return [][]*fault{{{name: "PostgreSQL killed", begin: r.Postgres.Kill, end: starts(r, r.Postgres), alerts: []*alarm{
				{alert: alert{"ResultsStale", ""}}, {alert: alert{"BreakerOpen", "worker"}}, {alert: alert{"QueueStalled", ""}},
			}}}}
		},
		"Redis killed": func(r *rig) [][]*fault {
			return [][]*fault{{
				{name: "Redis killed", begin: r.Redis.Kill, end: starts(r, r.Redis), alerts: []*alarm{
					{alert: alert{"BreakerOpen", "vote"}},
					// It ends when its short window, five minutes, holds few refusals; that is not waited for.
					{alert: alert{"VoteErrorBudgetBurnsFast", "vote"}, stays: true},
				}},
				{name: "PostgreSQL frozen", begin: r.Postgres.Pause, end: r.Postgres.Resume, alerts: []*alarm{
					{alert: alert{"ResultsStale", ""}},
				}},
			}}
		},
		"services": func(r *rig) [][]*fault {
			return [][]*fault{{
				{name: "worker killed", begin: r.Worker.Kill, end: starts(r, r.Worker), alerts: []*alarm{
					{alert: alert{"TargetDown", "worker"}}, {alert: alert{"QueueStalled", ""}}, {alert: alert{"QueueDelayed", ""}},
				}},
				{name: "result frozen", begin: r.Result.Pause, end: r.Result.Resume, alerts: []*alarm{
					{alert: alert{"TargetDown", "result"}},
				}},
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			// A scrape has to have the time for what it reads of a server that hangs, 1 s.
			p := r.watched(2 * time.Second)
			r.must(p.settled())
			r.during(10, func() {
				for _, together := range faults(r) {
					p.alarmed(together...)
				}
			})
			p.balanced()
			if paged := p.paged(); len(paged) == 0 || slices.Contains(paged, alert{"BooksUnbalanced", ""}) {
				t.Errorf("these pages have fired, though no vote was lost or doubled: %v", paged)
			}
		})
	}
}

func starts(r *rig, p platform.Part) func() error {
	return func() error { return p.Start(r.t.Context()) }
}

// Nothing but poison, which is no page.
func TestNobodyIsPagedForNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.watched(2 * time.Second)
	r.must(p.settled())
	r.during(10, func() {
		start := time.Now()
		p.alarmed(&fault{name: "poison in the stream", begin: r.poison, end: r.dropDeadLetters, alerts: []*alarm{
			{alert: alert{"DeadLetters", ""}},
		}})
		r.elapse(time.Until(start.Add(quiet)))
		for _, a := range p.paged() {
			// Its long windows hold a minute so far instead of hours, in which a stutter of the machine is a large share.
			// VoteErrorBudgetBurnsFast has no such excuse: not one vote is refused.
			if a.name != "VoteLatencyBudgetBurnsFast" {
				t.Errorf("%v fired without a fault to call a person for", a)
			}
		}
	})
	p.balanced()
}

// balanced waits until the books balance by what Prometheus knows. What is missing or too much would be missing still.
func (p *prometheusServer) balanced() {
	p.t.Helper()
	p.drained()
	p.eventually(func() error {
		_, difference, err := p.ask("platform:petvote_books_imbalance:votes", true, 0)
		if err == nil && !slices.Equal(difference, []float64{0}) {
			err = fmt.Errorf("the books differ by %v", difference)
		}
		return err
	})
}

// poison adds an entry to the queue that is no vote.
func (r *rig) poison() error {
	return r.RDB.XAdd(r.t.Context(), &redis.XAddArgs{Stream: votestream.Stream, Values: []any{"nonsense", "1"}}).Err()
}

// dropDeadLetters is what "worker dead drop" does.
func (r *rig) dropDeadLetters() error {
	letters, err := r.Queue.ListDeadLetters(r.t.Context(), "", 100)
	for _, letter := range letters {
		err = errors.Join(err, r.Queue.Drop(r.t.Context(), letter.ID))
	}
	return err
}

// alert is one of Prometheus's alerts, by its name and the job it is about, "" for an alert about none.
type alert struct{ name, job string }

func (a alert) String() string {
	if a.job == "" {
		return a.name
	}
	return a.name + " of " + a.job
}

// fault is what goes wrong, and the alerts that tell of it.
type fault struct {
	name       string
	begin, end func() error
	alerts     []*alarm

	begun, ended time.Time
}

// alarm is an alert, and how soon it came.
type alarm struct {
	alert
	stays          bool // its end is not waited for
	fired, cleared time.Duration
}

// alarmed lets faults begin together that don't disturb each other, ends each one once all its alerts fire, and returns
// when those are over. It first waits until Prometheus has seen votes being stored, lest an earlier fault be counted in.
func (p *prometheusServer) alarmed(faults ...*fault) {
	p.t.Helper()
	p.eventually(func() error {
		_, stored, err := p.ask(`increase(petvote_books_stored_total[10s])`, true, 0)
		if err == nil && (len(stored) != 1 || stored[0] == 0) {
			err = fmt.Errorf("stored in 10 s: %v", stored)
		}
		return err
	})
	before, err := p.active()
	p.must(err)
	for _, f := range faults {
		for _, a := range f.alerts {
			if before[a.alert] != "" {
				p.t.Errorf("%s: %v is %s before", f.name, a.alert, before[a.alert])
			}
		}
		f.begun = time.Now()
		p.must(f.begin())
	}
	p.must(wait.Until(p.t.Context(), 5*patience, func(context.Context) error {
		active, err := p.active()
		if err != nil {
			return err
		}
		var left []error
		for _, f := range faults {
			left = append(left, f.observe(active))
		}
		return errors.Join(left...)
	}))
	for _, f := range faults {
		for _, a := range f.alerts {
			p.t.Logf("%-20s %-32v fired after %4.1f s, over after %4.1f s", f.name, a.alert, a.fired.Seconds(), a.cleared.Seconds())
		}
	}
}

// observe notes what has changed, ends the fault when it is time, and says what is still to come.
func (f *fault) observe(active map[alert]string) error {
	if f.ended.IsZero() {
		var left []error
		for _, a := range f.alerts {
			if a.fired == 0 && active[a.alert] == "firing" {
				a.fired = time.Since(f.begun)
			} else if a.fired == 0 {
				left = append(left, fmt.Errorf("%s: %v does not fire", f.name, a.alert))
			}
		}
		if len(left) > 0 {
			return errors.Join(left...)
		}
		f.ended = time.Now()
		return errors.Join(fmt.Errorf("%s: just ended", f.name), f.end())
	}
	var left []error
	for _, a := range f.alerts {
		if a.stays || a.cleared > 0 {
			continue
		}
		if active[a.alert] == "" {
			a.cleared = time.Since(f.ended)
		} else {
			left = append(left, fmt.Errorf("%s: %v is still %s", f.name, a.alert, active[a.alert]))
		}
	}
	return errors.Join(left...)
}

// active gives the state of each alert that has one, "pending" or "firing".
func (p *prometheusServer) active() (map[alert]string, error) {
	var data struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	states := map[alert]string{}
	err := p.answer("/api/v1/alerts", nil, &data)
	for _, one := range data.Alerts {
		a := alert{one.Labels["alertname"], one.Labels["job"]}
		if states[a] != "firing" { // one job may have several, of several policies
			states[a] = one.State
		}
	}
	return states, err
}

// paged gives the alerts of severity page that have ever fired, by Prometheus's own record.
func (p *prometheusServer) paged() []alert {
	p.t.Helper()
	var data struct {
		Result []struct{ Metric map[string]string }
	}
	p.must(p.answer("/api/v1/query", url.Values{"query": {
		`count by (alertname, job) (last_over_time(ALERTS{alertstate="firing", severity="page"}[1h]))`}}, &data))
	var found []alert
	for _, one := range data.Result {
		found = append(found, alert{one.Metric["alertname"], one.Metric["job"]})
	}
	return found
}
