package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	screen := watch(looking, r.target.addresses().result, start)
	observer := observe(looking, r.target, start)
	defer func() {
		stopLooking()
		screen.watching.Wait()
		observer.watching.Wait()
	}()
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

	look := func() view {
		queue, stored := observer.readings()
		pushes, _ := screen.seen()
		return view{voters.snapshot(), queue, stored, pushes}
	}
	moments := func() []moment {
		return look().timeline(time.Since(start).Seconds(), 2.5*r.target.sampled().Seconds(), before.tally.Total())
	}
	o.Wounds, err = r.disturb(ctx, s, start, moments)
	if ctx.Err() == nil && err == nil {
		r.awaitWell(ctx, o.Wounds, start, look, moments)
	}
	voters.stop()
	time.AfterFunc(answerLimit, giveUp) // what is repeated has had its chance
	voters.finish()

	ending := context.WithoutCancel(ctx)
	drained := drain(ending, r.target)
	p, proveErr := proveAtRest(ending, r.target, start, before, voters.snapshot(), screen)
	if err := errors.Join(err, proveErr); err != nil {
		return o, err
	}
	_, p.Backwards = screen.seen()
	o.Proof = p
	livesAfter, err := r.target.lives(ending)
	if err != nil {
		return o, err
	}
	o.Proof.Restarted = restarted(s, livesBefore, livesAfter)
	observer.conclude(p)
	o.Seconds = time.Since(start).Seconds()
	seen := look()
	o.Timeline, o.Episodes = moments(), observer.episodes()
	o.Latency = latencies(seen.answers)
	for i := range o.Wounds {
		w := &o.Wounds[i]
		w.healed(seen, r.rate)
		w.Traces = throughIt(*w, seen.answers, 3, r.target.addresses().jaeger)
	}
	o.Failures = o.Proof.refutes()
	if drained != nil {
		o.Failures = append(o.Failures, drained.Error())
	}
	if ctx.Err() == nil { // else the healing was cut short, and the hypothesis not put to the test
		o.Failures = append(o.Failures, r.misses(s, o, seen.answers)...)
	}
	o.Passed = len(o.Failures) == 0
	return o, nil
}

// disturb does the scenario's faults when they are due and undoes each of them when it has lasted, the undoing even when ctx ends
// meanwhile. The wounds come in the order of the steps.
func (r *runner) disturb(ctx context.Context, s scenario, start time.Time, moments func() []moment) ([]wound, error) {
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
			if ctx.Err() != nil && err != nil {
				return
			}
			if err != nil {
				note(fmt.Errorf("%s: %w", st.fault, err))
				return
			}
			wounds[i].From = time.Since(start).Seconds()
			r.show.event(wounds[i].From, "begins", st.fault)
			switch err := r.target.inflict(ctx, f); {
			case err == nil || ctx.Err() != nil:
			case errors.Is(err, errNotTakenOver):
				wounds[i].Problem = err.Error()
			default:
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
	r.progress(done, start, moments)
	return slices.DeleteFunc(wounds, func(w wound) bool { return w.To == 0 }), errors.Join(errs...) // without those that were never begun
}

// progress shows every second how it goes, until done.
func (r *runner) progress(done <-chan struct{}, start time.Time, moments func() []moment) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			r.show.status(time.Since(start).Seconds(), moments())
		}
	}
}

// awaitWell goes on voting until every wound has healed, or the time for it is up.
func (r *runner) awaitWell(ctx context.Context, wounds []wound, start time.Time, look func() view, moments func() []moment) {
	ctx, cancel := context.WithTimeout(ctx, healLimit)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = eventually(ctx, healLimit, func(context.Context) error {
			seen := look()
			for _, w := range wounds {
				if w.healed(seen, r.rate); !w.well() || time.Since(start).Seconds() < w.To+settled {
					return errors.New("not healed yet")
				}
			}
			return wait(ctx, coolDown)
		})
	}()
	r.progress(done, start, moments)
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
