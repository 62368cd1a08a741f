package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"petvote/infra/containers"
	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/voters"
	"petvote/infra/wait"
	"petvote/scripts/chaos/record"
	"petvote/scripts/chaos/report"
	"petvote/scripts/chaos/scenario"
	"petvote/scripts/chaos/target"
)

// runner runs scenarios on a target.
type runner struct {
	target  target.Target
	options options
	answers *os.File
	log     *log.Logger
}

const (
	warmUp        = 2 * time.Second  // of load before the first fault
	coolDown      = time.Second      // of load after the recovery
	recoveryLimit = 40 * time.Second // for the recovery to be observed
	undoLimit     = 90 * time.Second // for a fault to be undone: PostgreSQL may have a lot to replay
	pageLimit     = 10 * time.Second // for the results page to get its first numbers
	answerLimit   = 5 * time.Second  // for each answer: well beyond the service's 2 s
	statusEvery   = 5 * time.Second
	tracesShown   = 3 // for each fault
)

// runAll runs scenarios one after the other until one can't be proved or ctx ends.
func (r *runner) runAll(ctx context.Context, chosen []scenario.Scenario, into *record.Run) error {
	for i, s := range chosen {
		if ctx.Err() != nil {
			return nil
		}
		r.log.Printf("%d of %d  %s: %s", i+1, len(chosen), s.Name, s.Hypothesis)
		outcome, err := r.run(ctx, s)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil // the error only says that docker or a server was interrupted
		case err != nil:
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		r.log.Print(report.Line(&outcome))
		into.Scenarios = append(into.Scenarios, outcome)
	}
	return nil
}

// run runs one scenario. An error means that nothing is proved or refuted.
func (r *runner) run(ctx context.Context, s scenario.Scenario) (o record.Outcome, err error) {
	o = record.Outcome{Name: s.Name, Hypothesis: s.Hypothesis}
	if err := ledger.Drain(ctx, r.target); err != nil {
		return o, fmt.Errorf("before the scenario: %w", err)
	}
	before, err := ledger.Steady(ctx, r.target)
	if err != nil {
		return o, err
	}
	livesBefore, err := r.target.Lives(ctx)
	if err != nil {
		return o, err
	}
	answers := ledger.New(r.answers)
	ctx, gone := context.WithCancelCause(ctx)
	defer gone(nil)
	observer := observe(r.target, answers, before, r.log, gone)
	defer observer.close()
	if err := wait.Until(ctx, pageLimit, func(context.Context) error {
		if pushes, _ := observer.viewer.Pushes(); len(pushes) == 0 {
			return errors.New("the results page gets no numbers")
		}
		return nil
	}); err != nil {
		return o, err
	}
	ending := context.WithoutCancel(ctx)
	voting, giveUp := context.WithCancel(ending)
	defer giveUp()
	crowd := voters.Start(voting, voters.Options{URL: r.target.Addresses().Vote + "/vote", Rate: r.options.rate,
		Retry: r.options.retry, Timeout: answerLimit, Start: answers.Began, Record: answers.Add})
	o.Faults, err = r.disturb(ctx, s, observer)
	if ctx.Err() == nil && err == nil {
		r.awaitRecovery(ctx, o.Faults, observer)
	}
	crowd.Stop()
	if isGone(ctx) {
		giveUp()
		crowd.Wait()
		return o, context.Cause(ctx)
	}
	time.AfterFunc(answerLimit, giveUp) // votes that are sent again have had their chance
	crowd.Wait()

	if drained := ledger.Drain(ending, r.target); drained != nil {
		o.Failures = append(o.Failures, drained.Error())
	}
	proof, proveErr := answers.Prove(ending, r.target, before, observer.viewer.Shown)
	livesAfter, livesErr := r.target.Lives(ending)
	if err := errors.Join(err, proveErr, livesErr); err != nil {
		return o, err
	}
	_, proof.Backwards = observer.viewer.Pushes()
	proof.Restarted = restarted(s, livesBefore, livesAfter)
	observer.conclude(proof)
	seen := observer.seen()
	o.Proof, o.Seconds, o.Load = proof, observer.at(), loadAverage()
	o.Timeline, o.Episodes, o.Latency = observer.timeline(), observer.intervals, record.Latencies(seen.Answers)
	for i := range o.Faults {
		o.Faults[i].Recover(seen, r.options.rate)
		o.Faults[i].Slowest(seen.Answers, tracesShown, r.target.Addresses().Jaeger)
	}
	o.Judge(s, seen.Answers, r.options.limits, ctx.Err() != nil)
	return o, nil
}

// isGone reports that the scenario ended because the target was removed: nothing is left to undo, recover or ask.
func isGone(ctx context.Context) bool { return errors.Is(context.Cause(ctx), containers.ErrNone) }

// disturb injects the scenario's faults when they are due and undoes each of them when it has lasted, even if ctx ends
// meanwhile. Of faults in turn, each waits for the recovery from the one before. The fault windows are in the order of
// the steps; faults that were never injected have none.
func (r *runner) disturb(ctx context.Context, s scenario.Scenario, o *observer) ([]record.FaultWindow, error) {
	begin := time.Now().Add(warmUp)
	var steps sync.WaitGroup
	windows, errs := make([]record.FaultWindow, len(s.Steps)), make([]error, len(s.Steps))
	for i, st := range s.Steps {
		if s.InTurn && i > 0 {
			steps.Wait()
			if err := allReady(ctx, r.target); err != nil {
				windows[i-1].Problem = err.Error()
			}
			begin = time.Now()
		}
		steps.Go(func() {
			if wait.For(ctx, time.Until(begin.Add(st.At))) != nil {
				return
			}
			if windows[i], errs[i] = r.step(ctx, st, o); errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", st.Fault, errs[i])
			}
		})
	}
	steps.Wait()
	windows = slices.DeleteFunc(windows, func(w record.FaultWindow) bool { return w.To == 0 })
	return windows, errors.Join(errs...)
}

func (r *runner) step(ctx context.Context, st scenario.Step, o *observer) (w record.FaultWindow, err error) {
	w.Fault = st.Fault.String()
	if err := r.target.Prepare(ctx, st.Fault); err != nil {
		return w, fmt.Errorf("prepare: %w", err)
	}
	w.From = o.at()
	r.log.Printf("  %5.1f s  %s begins", w.From, st.Fault)
	injecting := r.target.Inject(ctx, st.Fault)
	switch {
	case errors.Is(injecting, target.ErrNotTakenOver):
		w.Problem, injecting = injecting.Error(), nil
	case ctx.Err() != nil:
		injecting = nil // it only says that it was interrupted
	}
	_ = wait.For(ctx, st.Lasts) // an interrupt ends the fault early
	undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if isGone(ctx) {
			cancel()
		}
	})()
	if err := r.target.Undo(undoing, st.Fault); err != nil {
		r.log.Printf("  %s is not undone (the next run will try again): %v", st.Fault, err)
		return w, errors.Join(injecting, fmt.Errorf("undo: %w", err))
	}
	w.To = o.at()
	r.log.Printf("  %5.1f s  %s is over", w.To, st.Fault)
	return w, injecting
}

// awaitRecovery goes on voting until the platform has recovered from every fault, or the time for it is up.
func (r *runner) awaitRecovery(ctx context.Context, windows []record.FaultWindow, o *observer) {
	ctx, cancel := context.WithTimeout(ctx, recoveryLimit)
	defer cancel()
	recovered := func() bool {
		seen := o.seen()
		return !slices.ContainsFunc(windows, func(w record.FaultWindow) bool {
			w.Recover(seen, r.options.rate)
			return !w.Recovered(o.at())
		})
	}
	for !recovered() {
		if wait.For(ctx, record.Timestep) != nil {
			return
		}
	}
	_ = wait.For(ctx, coolDown)
}

// restarted names the services that were started again though the scenario has not touched their processes.
func restarted(s scenario.Scenario, before, after map[string]string) string {
	var names []string
	for _, name := range platform.Services {
		if before[name] != after[name] && !s.Touches(name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
