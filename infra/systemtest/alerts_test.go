package systemtest

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"petvote/shared/votestream"
)

// quiet is longer than it takes any alert of severity page to fire, the SLOs' long windows aside: at most a window of 30 s
// and a wait of 30 s.
const quiet = time.Minute + 5*time.Second

// Whoever is on call learns of each fault, soon, and learns that it is over; nobody is called for nothing. The rules are
// promtool's to test; here their metrics are those of the real services, their faults real, and their waits as shipped. Only
// the times between two scrapes and between two evaluations are shorter, 2 s for 5 s, so that an alert comes up to 6 s earlier;
// and a worker that is gone stays a target, where its container would be none.
func TestEachFaultMakesItsAlertsFireAndItsEndEndsThem(t *testing.T) {
	r := newRig(t)
	// A scrape has to have the time for what it reads of a server that hangs, 1 s.
	p := r.watched(2 * time.Second)
	r.must(p.settled())
	l := r.during(10, func() {
		// Nothing but poison, which is no page.
		start := time.Now()
		p.alarmed(&fault{name: "poison in the stream", begin: r.poison, end: r.dropDeadLetters, alerts: []*alarm{
			{alert: alert{"DeadLetters", ""}, fires: 20 * time.Second, clears: 20 * time.Second},
		}})
		time.Sleep(time.Until(start.Add(quiet))) // the quiet itself
		for _, a := range p.paged() {
			// Its long windows hold a minute so far instead of hours, in which a stutter of the machine is a large share.
			// VoteErrorBudgetBurnsFast has no such excuse: not one vote is refused.
			if a.name != "VoteLatencyBudgetBurnsFast" {
				t.Errorf("%v fired without a fault to call a person for", a)
			}
		}

		p.alarmed(
			&fault{name: "worker killed", begin: r.worker.Kill, end: func() error { return r.worker.Start(t.Context()) }, alerts: []*alarm{
				{alert: alert{"TargetDown", "worker"}, fires: 40 * time.Second, clears: 20 * time.Second},
				{alert: alert{"QueueStalled", ""}, fires: 75 * time.Second, clears: 30 * time.Second},
				{alert: alert{"QueueDelayed", ""}, fires: 75 * time.Second, clears: 30 * time.Second},
			}},
			&fault{name: "result frozen", begin: r.result.Pause, end: r.result.Resume, alerts: []*alarm{
				{alert: alert{"TargetDown", "result"}, fires: 40 * time.Second, clears: 20 * time.Second},
			}})
		p.alarmed(&fault{name: "PostgreSQL killed", begin: r.postgres.Kill, end: func() error { return r.postgres.Start(t.Context()) }, alerts: []*alarm{
			{alert: alert{"ResultsStale", ""}, fires: 45 * time.Second, clears: 30 * time.Second},
			{alert: alert{"BreakerOpen", "worker"}, fires: 60 * time.Second, clears: 30 * time.Second},
			{alert: alert{"QueueStalled", ""}, fires: 75 * time.Second, clears: 30 * time.Second},
		}})
		p.alarmed(
			&fault{name: "Redis killed", begin: r.redis.Kill, end: func() error { return r.redis.Start(t.Context()) }, alerts: []*alarm{
				{alert: alert{"BreakerOpen", "vote"}, fires: 60 * time.Second, clears: 30 * time.Second},
				// It ends when its short window, five minutes, holds few refusals; that is not waited for.
				{alert: alert{"VoteErrorBudgetBurnsFast", "vote"}, fires: 30 * time.Second},
			}},
			&fault{name: "PostgreSQL frozen", begin: r.postgres.Pause, end: r.postgres.Resume, alerts: []*alarm{
				{alert: alert{"ResultsStale", ""}, fires: 45 * time.Second, clears: 30 * time.Second},
			}})
	})

	// What is missing or too much would be missing still.
	r.drained(20 * time.Second)
	r.eventually(20*time.Second, func() error {
		_, difference, err := p.ask("platform:petvote_books_imbalance:votes", true, 0)
		if err == nil && !slices.Equal(difference, []float64{0}) {
			err = fmt.Errorf("the books differ by %v", difference)
		}
		return err
	})
	paged := p.paged()
	if !slices.Contains(paged, alert{"QueueStalled", ""}) {
		t.Error("what has fired is not to be found afterwards, so this test would not see what should not have")
	}
	if slices.Contains(paged, alert{"BooksUnbalanced", ""}) {
		t.Error("BooksUnbalanced fired, and no vote was lost or doubled")
	}
	t.Logf("accepted %d, refused or unknown %d; pages: %v", len(l.accepted), len(l.unknown), paged)
}

// poison adds an entry to the queue that is no vote.
func (r *rig) poison() error {
	return r.rdb.XAdd(r.t.Context(), &redis.XAddArgs{Stream: votestream.Stream, Values: []any{"nonsense", "1"}}).Err()
}

// dropDeadLetters is what "worker dead drop" does.
func (r *rig) dropDeadLetters() error {
	letters, err := r.queue.DeadLetters(r.t.Context(), "", 100)
	for _, letter := range letters {
		err = errors.Join(err, r.queue.Drop(r.t.Context(), letter.ID))
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

// alarm is how soon an alert has to fire after its fault begins, and to be over after that begins to end.
type alarm struct {
	alert
	fires, clears  time.Duration // clears 0: may stay
	fired, cleared time.Duration // as measured
}

// alarmed lets faults begin together that don't disturb each other, ends each one once all its alerts fire, and returns
// when those are over. It first waits until Prometheus has seen votes being stored, lest an earlier fault be counted in.
func (p *prometheusServer) alarmed(faults ...*fault) {
	p.t.Helper()
	p.eventually(30*time.Second, func() error {
		_, stored, err := p.ask(`increase(petvote_books_stored_total[10s])`, true, 0)
		if err == nil && (len(stored) != 1 || stored[0] == 0) {
			err = fmt.Errorf("stored in 10 s: %v", stored)
		}
		return err
	})
	before, err := p.active()
	p.must(err)
	limit := time.Duration(0)
	for _, f := range faults {
		for _, a := range f.alerts {
			limit = max(limit, a.fires+a.clears)
			if before[a.alert] != "" {
				p.t.Errorf("%s: %v is %s before", f.name, a.alert, before[a.alert])
			}
		}
		f.begun = time.Now()
		p.must(f.begin())
	}
	p.eventually(2*limit, func() error { // what is late by less is told below
		active, err := p.active()
		if err != nil {
			return err
		}
		var left []error
		for _, f := range faults {
			left = append(left, f.observe(active))
		}
		return errors.Join(left...)
	})
	for _, f := range faults {
		for _, a := range f.alerts {
			over := "not waited for"
			if a.clears > 0 {
				over = fmt.Sprintf("over after %4.1f s (within %v)", a.cleared.Seconds(), a.clears)
			}
			p.t.Logf("%-20s %-32v fired after %4.1f s (within %v), %s", f.name, a.alert, a.fired.Seconds(), a.fires, over)
			if a.fired > a.fires || a.cleared > a.clears {
				p.t.Errorf("%s: %v was too late", f.name, a.alert)
			}
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
		if a.clears == 0 || a.cleared > 0 {
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
