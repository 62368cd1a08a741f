package main

import (
	"strings"
	"testing"
	"time"
)

func seconds(s float64) *float64 { return &s }

func TestWhatAHypothesisPromisesAndWasNotSoIsSaid(t *testing.T) {
	r := &runner{target: new(localTarget), rate: 10, limits: limits{2 * time.Second, 5 * time.Second, 5 * time.Second, 2500 * time.Millisecond}}
	healed := wound{Fault: "kill worker", From: 2, To: 4, AcceptedAgain: seconds(0), Drained: seconds(1), Current: seconds(1)}
	well := func() (scenario, outcome, []answer) {
		return once("x", "", fault{Kind: kill, Part: redis}, 0), outcome{Wounds: []wound{healed}, Proof: proof{Sent: 100, Accepted: 100}}, voting(10, 20, 20, refused)
	}
	s, o, answers := well()
	if failures := r.misses(s, o, answers); len(failures) > 0 {
		t.Fatalf("all is well, and it says %q", failures)
	}
	for want, spoil := range map[string]func(*scenario, *outcome, *[]answer){
		"voters noticed":    func(s *scenario, o *outcome, _ *[]answer) { s.spares, o.Proof.Refused = true, 30 },
		"no fault explains": func(_ *scenario, _ *outcome, a *[]answer) { *a = voting(10, 6, 8, refused) },
		"got no answer":     func(_ *scenario, _ *outcome, a *[]answer) { *a = voting(10, 2, 3, unknown) },
		"should see":        func(_ *scenario, _ *outcome, a *[]answer) { (*a)[0].Status, (*a)[0].Error = wrong, "status 500" },
		"an answer took":    func(_ *scenario, o *outcome, _ *[]answer) { o.Latency.Max = 3 },
		"accepted again":    func(_ *scenario, o *outcome, _ *[]answer) { o.Wounds[0].AcceptedAgain = seconds(2.5) },
		"drained":           func(_ *scenario, o *outcome, _ *[]answer) { o.Wounds[0].Drained = nil },
		"current":           func(_ *scenario, o *outcome, _ *[]answer) { o.Wounds[0].Current = seconds(6) },
		"taken over":        func(_ *scenario, o *outcome, _ *[]answer) { o.Wounds[0].Problem = errNotTakenOver.Error() },
	} {
		s, o, answers := well()
		o.Wounds = []wound{healed}
		spoil(&s, &o, &answers)
		if failures := r.misses(s, o, answers); len(failures) != 1 || !strings.Contains(failures[0], want) {
			t.Errorf("%s: %q", want, failures)
		}
	}
}

func TestAHungVoteServiceIsNoFaultOfAScenarioThatFreezesIt(t *testing.T) {
	r := &runner{target: new(localTarget), rate: 10, limits: limits{time.Minute, time.Minute, time.Minute, time.Second}}
	s := once("x", "", fault{Kind: pause, Part: vote}, 0)
	w := wound{From: 2, To: 4, AcceptedAgain: seconds(1), Drained: seconds(1), Current: seconds(1)}
	if failures := r.misses(s, outcome{Wounds: []wound{w}, Proof: proof{Sent: 100}, Latency: latency{Max: 4}}, voting(10, 2, 4, unknown)); len(failures) > 0 {
		t.Errorf("%q", failures)
	}
}

func TestOnlyServicesThatNobodyTouchedCountAsRestarted(t *testing.T) {
	s := once("x", "", fault{Kind: kill, Part: worker}, 0)
	before := map[string]string{vote: "1", worker: "2", result: "3"}
	if got := restarted(s, before, map[string]string{vote: "1", worker: "9", result: "4"}); got != result {
		t.Errorf("restarted: %q", got)
	}
}
