package record

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/scripts/chaos/scenario"
)

// Verdict answers two questions that are independent of each other. Did the platform keep its promise about votes?
// That does not depend on the machine. Did it recover within the limits? On a busy machine it may not.
type Verdict struct {
	Proof    string `json:"proof"`
	Recovery string `json:"recovery"`
}

// The two verdicts' values.
const (
	Held    = "held"
	Refuted = "refuted"
	None    = "none" // nothing was proved

	InTime     = "in time"
	Slow       = "slow"
	Unmeasured = "unknown" // the scenario was interrupted
)

// Limits bound the recovery.
type Limits struct {
	Accept, Drain, Current time.Duration // after the end of a fault
	Answer                 time.Duration // for any answer, unless the vote service is broken
	Sampling               time.Duration // how coarsely the queue and the page are observed
}

// tolerated is the share of votes that may be refused where a scenario says that voters notice nothing: a busy machine
// refuses one now and then.
const tolerated = 0.01

// Judge sets both verdicts. An interrupted scenario still has a proof, but its recovery was cut short.
func (o *Outcome) Judge(s scenario.Scenario, answers []ledger.Answer, limits Limits, interrupted bool) {
	o.Failures = append(o.Failures, o.Proof.Refutes()...)
	o.Verdict = Verdict{Proof: Held, Recovery: Unmeasured}
	if len(o.Failures) > 0 {
		o.Verdict.Proof = Refuted
	}
	if !interrupted {
		o.Slow = append(o.lateRecoveries(s, limits), o.noticed(s, answers, limits)...)
		if o.Verdict.Recovery = InTime; len(o.Slow) > 0 {
			o.Verdict.Recovery = Slow
		}
	}
	o.Passed = o.Verdict.Proof == Held && o.Verdict.Recovery != Slow
}

// Judge sets the run's verdicts from those of its scenarios. An error means that there is one without a proof.
func (r *Run) Judge(err error) {
	r.Verdict = Verdict{Proof: None, Recovery: Unmeasured}
	for _, o := range r.Scenarios {
		if r.Verdict.Proof != Refuted {
			r.Verdict.Proof = o.Verdict.Proof
		}
		if o.Verdict.Recovery == Slow || r.Verdict.Recovery == Unmeasured {
			r.Verdict.Recovery = o.Verdict.Recovery
		}
	}
	if err != nil && r.Verdict.Proof == Held {
		r.Verdict.Proof = None
	}
	r.Passed = r.Verdict == Verdict{Held, InTime} && !r.Interrupted
}

// ExitStatus is 0 if both verdicts are good, 1 if the proof is refuted or the run did not get to its end, and 3 if
// only the recovery was slow.
func (r *Run) ExitStatus() int {
	switch {
	case r.Passed:
		return 0
	case r.Verdict == Verdict{Held, Slow} && !r.Interrupted:
		return 3
	}
	return 1
}

// noticed says, a sentence each, what voters noticed beyond the recovery times: refusals that no fault explains, and
// answers that took too long.
func (o *Outcome) noticed(s scenario.Scenario, answers []ledger.Answer, limits Limits) (slow []string) {
	few := tolerated * float64(o.Proof.Sent)
	if s.NoneRefused {
		few = 0
	}
	if n := o.Proof.Refused + o.Proof.Unknown; (s.Unnoticed || s.NoneRefused) && float64(n) > few {
		slow = append(slow, fmt.Sprintf("voters noticed: %d of %d votes were not accepted", n, o.Proof.Sent))
	}
	if n := unexplained(o.Faults, answers); float64(n) > few {
		slow = append(slow, fmt.Sprintf("%d attempts were not accepted though no fault explains it", n))
	}
	if s.Touches(platform.Vote) {
		return slow
	}
	if o.Latency.Max > limits.Answer.Seconds() {
		slow = append(slow, fmt.Sprintf("an answer took %.2f s (limit %v)", o.Latency.Max, limits.Answer))
	}
	if i := slices.IndexFunc(answers, func(a ledger.Answer) bool { return a.Status == ledger.Unknown }); i >= 0 {
		slow = append(slow, fmt.Sprintf("a vote got no answer in %.1f s though the vote service was not touched: %s",
			answers[i].At-answers[i].Sent, answers[i].Error))
	}
	return slow
}

// lateRecoveries says which recoveries exceeded their limits. Where faults overlap only the last one is held to them.
func (o *Outcome) lateRecoveries(s scenario.Scenario, limits Limits) (slow []string) {
	if len(o.Faults) == 0 {
		return nil
	}
	last := slices.MaxFunc(o.Faults, func(a, b FaultWindow) int { return cmp.Compare(a.To, b.To) }).To
	for _, w := range o.Faults {
		if w.Problem != "" {
			slow = append(slow, fmt.Sprintf("%s: %s", w.Fault, w.Problem))
		}
		if s.Overlapping && w.To < last {
			continue
		}
		for _, t := range []struct {
			took  *float64
			limit time.Duration
			what  string
		}{
			{w.AcceptedAgain, limits.Accept, "votes were accepted again"},
			{w.Drained, max(limits.Drain, s.DrainWithin) + limits.Sampling, "the queue was drained"},
			{w.Current, max(limits.Current, s.DrainWithin) + limits.Sampling, "the page was current"},
		} {
			switch {
			case t.took == nil:
				slow = append(slow, fmt.Sprintf("after %s it was not observed that %s", w.Fault, t.what))
			case *t.took > t.limit.Seconds():
				slow = append(slow, fmt.Sprintf("%s %.2f s after %s (limit %v)", t.what, *t.took, w.Fault, t.limit))
			}
		}
	}
	return slow
}

// unexplained counts the attempts that were not accepted and were sent when no fault or recovery from one was going on.
func unexplained(faults []FaultWindow, answers []ledger.Answer) int {
	n := 0
	for _, a := range answers {
		if a.Status != ledger.Accepted && !slices.ContainsFunc(faults, func(w FaultWindow) bool {
			return a.At >= w.From && (w.AcceptedAgain == nil || a.Sent <= w.To+*w.AcceptedAgain)
		}) {
			n++
		}
	}
	return n
}
