package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// limits are what the healing is held to.
type limits struct {
	accept, drain, current, answer time.Duration
}

// runner carries out scenarios on a target.
type runner struct {
	target  target
	rate    int
	retry   bool
	limits  limits
	journal *journal
	log     *answerLog
	show    *display
}

const (
	warmUp    = 2 * time.Second  // of load before the first fault
	coolDown  = time.Second      // of load after everything is well again
	healLimit = 40 * time.Second // for everything to be well again
	undoLimit = 90 * time.Second // for the undoing of a fault: PostgreSQL may have a lot to recover
	seeLimit  = 10 * time.Second // for the target to be as a scenario wants to find it
)

// run carries out one scenario. An error means that there is no proof, for or against.
func (r *runner) run(ctx context.Context, s scenario) (o outcome, err error) {
	o = outcome{Name: s.name, Hypothesis: s.hypothesis}
	if err := drain(ctx, r.target); err != nil {
		return o, fmt.Errorf("before the scenario: %w", err)
	}
	before, err := r.target.standings(ctx)
	if err != nil {
		return o, err
	}
	livesBefore, err := r.target.lives(ctx)
	if err != nil {
		return o, err
	}
	start := time.Now()
	looking, stopLooking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLooking()
	screen := watch(looking, r.target.addresses().result, start)
	observer := observe(looking, r.target, start)
	if err := eventually(ctx, seeLimit, func(context.Context) error {
		if pushes, _ := screen.seen(); len(pushes) == 0 {
			return errors.New("the results page gets no numbers")
		}
		return nil
	}); err != nil {
		return o, err
	}
	answering, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	voters := newVoters(answering, r.target.addresses().vote, r.rate, r.retry, start, r.log)

	view := func(until float64) ([]answer, []moment) {
		answers := voters.snapshot()
		queue, stored := observer.readings()
		pushes, _ := screen.seen()
		return answers, timeline(until, 2.5*r.target.sampled().Seconds(), answers, queue, stored, pushes, before.tally, before.tally)
	}
	o.Wounds, err = r.disturb(ctx, s, start, view)
	if ctx.Err() == nil && err == nil {
		r.awaitWell(ctx, &o, s, start, view)
	}
	voters.stop()
	time.AfterFunc(answerLimit, giveUp) // what is repeated has had its chance
	voters.finish()

	ending := context.WithoutCancel(ctx)
	drained := drain(ending, r.target)
	p, proveErr := prove(ending, r.target, start, before, voters.snapshot())
	if err := errors.Join(err, proveErr); err != nil {
		return o, err
	}
	_ = eventually(ending, shownLimit, func(context.Context) error { // what is not shown in time is told by the proof
		pushes, _ := screen.seen()
		if p.OnScreen = pushes[len(pushes)-1].value; p.OnScreen != p.Tally {
			return errors.New("not shown yet")
		}
		return nil
	})
	_, p.Backwards = screen.seen()
	o.Proof = p
	livesAfter, err := r.target.lives(ending)
	if err != nil {
		return o, err
	}
	o.Proof.Restarted = restarted(s, livesBefore, livesAfter)
	observer.conclude(p)
	o.Seconds = time.Since(start).Seconds()
	answers, moments := view(o.Seconds)
	o.Timeline, o.Episodes = moments, observer.episodes()
	o.Latency = latencies(answers)
	for i := range o.Wounds {
		w := &o.Wounds[i]
		*w = wound{Fault: w.Fault, From: w.From, To: w.To}
		w.healed(answers, moments, r.rate)
		w.Traces = throughIt(*w, answers, 3, r.target.addresses().jaeger)
	}
	o.Failures = o.Proof.refutes()
	if drained != nil {
		o.Failures = append(o.Failures, drained.Error())
	}
	o.Failures = append(o.Failures, r.tooSlow(s, o, answers)...)
	o.Passed = len(o.Failures) == 0
	stopLooking()
	screen.watching.Wait()
	observer.watching.Wait()
	return o, nil
}

// disturb does the scenario's faults when they are due and undoes each of them when it has lasted, the undoing even when ctx ends
// meanwhile. The wounds come in the order of the steps.
func (r *runner) disturb(ctx context.Context, s scenario, start time.Time, view func(float64) ([]answer, []moment)) ([]wound, error) {
	begin := start.Add(warmUp)
	var (
		steps  sync.WaitGroup
		mu     sync.Mutex
		wounds = make([]wound, len(s.steps))
		errs   []error
	)
	note := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	}
	for i, st := range s.steps {
		wounds[i] = wound{Fault: st.fault.String()}
		steps.Go(func() {
			if wait(ctx, time.Until(begin.Add(st.at))) != nil {
				return
			}
			f, err := r.journal.open(ctx, r.target, st.fault)
			if err != nil {
				note(fmt.Errorf("%s: %w", st.fault, err))
				return
			}
			wounds[i].From = time.Since(start).Seconds()
			r.show.event(wounds[i].From, "begins", st.fault)
			if err := r.target.inflict(ctx, f); err != nil {
				note(fmt.Errorf("%s: %w", st.fault, err))
			}
			_ = wait(ctx, st.lasts) // an interrupt ends the fault early
			undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
			defer cancel()
			if err := r.target.heal(undoing, f); err != nil {
				note(fmt.Errorf("undo %s: %w", st.fault, err))
				return
			}
			wounds[i].To = time.Since(start).Seconds()
			r.show.event(wounds[i].To, "is over", st.fault)
			note(r.journal.close(f))
		})
	}
	done := make(chan struct{})
	go func() { steps.Wait(); close(done) }()
	r.progress(done, start, view)
	return slices.DeleteFunc(wounds, func(w wound) bool { return w.To == 0 }), errors.Join(errs...) // without those that were never begun
}

// progress shows every second how it goes, until done.
func (r *runner) progress(done <-chan struct{}, start time.Time, view func(float64) ([]answer, []moment)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			now := time.Since(start).Seconds()
			_, moments := view(now)
			r.show.status(now, moments)
		}
	}
}

// awaitWell goes on voting until every wound has healed, or the time for it is up.
func (r *runner) awaitWell(ctx context.Context, o *outcome, s scenario, start time.Time, view func(float64) ([]answer, []moment)) {
	ctx, cancel := context.WithTimeout(ctx, healLimit)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = eventually(ctx, healLimit, func(context.Context) error {
			answers, moments := view(time.Since(start).Seconds())
			for _, w := range o.Wounds {
				if w.healed(answers, moments, r.rate); !w.well() || time.Since(start).Seconds() < w.To+settled {
					return errors.New("not healed yet")
				}
			}
			return wait(ctx, coolDown)
		})
	}()
	r.progress(done, start, view)
}

// tooSlow says which wounds took longer to heal than they may, and whether a voter waited too long.
func (r *runner) tooSlow(s scenario, o outcome, answers []answer) []string {
	var failures []string
	resolution := r.target.sampled()
	for _, w := range o.Wounds {
		if s.unmeasured && w.To < slices.MaxFunc(o.Wounds, func(a, b wound) int { return int(a.To*1000) - int(b.To*1000) }).To {
			continue
		}
		for _, t := range []struct {
			took  *float64
			limit time.Duration
			what  string
		}{
			{w.AcceptedAgain, r.limits.accept, "votes were accepted again"},
			{w.Drained, max(r.limits.drain, s.drain) + resolution, "the queue was drained"},
			{w.Current, max(r.limits.current, s.drain) + resolution, "the page was current"},
		} {
			switch {
			case t.took == nil:
				failures = append(failures, fmt.Sprintf("after %q it was not seen that %s", w.Fault, t.what))
			case *t.took > t.limit.Seconds():
				failures = append(failures, fmt.Sprintf("after %q %s only %.1f s later (limit %v)", w.Fault, t.what, *t.took, t.limit))
			}
		}
	}
	for _, a := range answers {
		if a.Status == wrong {
			failures = append(failures, "an answer that no voter should see: "+a.Error)
			break
		}
	}
	if !s.touches(vote) {
		if slowest := o.Latency.Max; slowest > r.limits.answer.Seconds() {
			failures = append(failures, fmt.Sprintf("an answer took %.2f s (limit %v)", slowest, r.limits.answer))
		}
	}
	return failures
}

// restarted names the services whose life is another one though the scenario has not touched their processes.
func restarted(s scenario, before, after map[string]string) string {
	var names []string
	for _, name := range services {
		if before[name] != after[name] && !s.touches(name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// latencies are those of all answers that came.
func latencies(answers []answer) latency {
	var took []float64
	for _, a := range answers {
		if a.Code != 0 {
			took = append(took, a.At-a.Sent)
		}
	}
	if len(took) == 0 {
		return latency{}
	}
	slices.Sort(took)
	at := func(q float64) float64 { return took[int(q*float64(len(took)-1))] }
	return latency{P50: at(0.5), P99: at(0.99), Max: at(1)}
}

// wait waits, or returns why it could not.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
