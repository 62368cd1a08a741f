package record

import (
	"errors"
	"strings"
	"testing"
	"time"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/scripts/chaos/scenario"
	"petvote/shared/ballot"
)

var limits = Limits{Accept: 2 * time.Second, Drain: 5 * time.Second, Current: 5 * time.Second, Answer: 2 * time.Second}

// trial is a scenario with an outcome that is good in both respects, to be spoiled.
type trial struct {
	s       scenario.Scenario
	o       Outcome
	answers []ledger.Answer
}

func (c *trial) fault() *FaultWindow { return &c.o.Faults[0] }

func good() *trial {
	c := &trial{answers: voting(10, 20, 20, ledger.Refused)}
	c.s.Steps = []scenario.Step{{Fault: scenario.Fault{Kind: scenario.Kill, Part: platform.Redis}}}
	c.o.Faults = []FaultWindow{{Fault: "kill redis", From: 2, To: 4,
		AcceptedAgain: new(0.0), Drained: new(1.0), Current: new(1.0)}}
	nine := ballot.Counts{Dogs: 9}
	c.o.Proof = ledger.Proof{Sent: 100, Accepted: 100, Tallied: nine, Shown: nine}
	return c
}

func TestTheProofAndTheRecoveryAreTwoVerdicts(t *testing.T) {
	for _, c := range []struct {
		name  string
		want  Verdict
		exit  int
		said  string
		spoil func(*trial)
	}{
		{"all is well", Verdict{Held, InTime}, 0, "", func(*trial) {}},

		{"a lost vote", Verdict{Refuted, InTime}, 1, "lost", func(c *trial) { c.o.Proof.Lost = 1 }},
		{"a wrong page", Verdict{Refuted, InTime}, 1, "page", func(c *trial) { c.o.Proof.Shown.Cats = 1 }},
		{"a wrong answer", Verdict{Refuted, InTime}, 1, "status 500",
			func(c *trial) { c.o.Proof.WrongAnswer = "status 500" }},
		{"a lost vote and a late recovery", Verdict{Refuted, Slow}, 1, "lost",
			func(c *trial) { c.o.Proof.Lost, c.fault().Drained = 1, nil }},

		{"refusals that voters should not notice", Verdict{Held, Slow}, 3, "voters noticed",
			func(c *trial) { c.s.Unnoticed, c.o.Proof.Refused = true, 30 }},
		{"a refusal where there shall be none", Verdict{Held, Slow}, 3, "voters noticed: 1 of 100",
			func(c *trial) { c.s.NoneRefused, c.o.Proof.Refused = true, 1 }},
		{"refusals long after the fault", Verdict{Held, Slow}, 3, "no fault explains",
			func(c *trial) { c.answers = voting(10, 6, 8, ledger.Refused) }},
		{"no answer", Verdict{Held, Slow}, 3, "no answer", func(c *trial) { c.answers = voting(10, 2, 3, ledger.Unknown) }},
		{"no answer of a vote service that hangs", Verdict{Held, InTime}, 0, "", func(c *trial) {
			c.s.Steps[0].Fault = scenario.Fault{Kind: scenario.Pause, Part: platform.Vote}
			c.o.Latency.Max, c.answers = 4, voting(10, 2, 4, ledger.Unknown)
		}},
		{"a late answer", Verdict{Held, Slow}, 3, "an answer took", func(c *trial) { c.o.Latency.Max = 3 }},
		{"accepted again late", Verdict{Held, Slow}, 3, "accepted again 2.01 s after kill redis (limit 2s)",
			func(c *trial) { c.fault().AcceptedAgain = new(2.01) }},
		{"never drained", Verdict{Held, Slow}, 3, "not observed that the queue", func(c *trial) { c.fault().Drained = nil }},
		{"current late", Verdict{Held, Slow}, 3, "current", func(c *trial) { c.fault().Current = new(6.0) }},
		{"not taken over", Verdict{Held, Slow}, 3, "kill redis: why", func(c *trial) { c.fault().Problem = "why" }},
		{"only the last of overlapping faults is held to the limits", Verdict{Held, InTime}, 0, "", func(c *trial) {
			c.s.Overlapping, c.o.Faults = true, append(c.o.Faults, *c.fault())
			c.fault().To, c.fault().Current = 3, nil
		}},
	} {
		one := good()
		c.spoil(one)
		one.o.Judge(one.s, one.answers, limits, false)
		said := append(one.o.Failures, one.o.Slow...)
		if one.o.Verdict != c.want || len(said) > 2 || !strings.Contains(strings.Join(said, "; "), c.said) {
			t.Errorf("%s: %+v, %q", c.name, one.o.Verdict, said)
		}
		fine := Outcome{Verdict: Verdict{Held, InTime}}
		r := Run{Scenarios: []Outcome{fine, one.o, fine}}
		if r.Judge(nil); r.Verdict != c.want || r.ExitStatus() != c.exit || r.Passed != (c.exit == 0) {
			t.Errorf("%s: the run is %+v, exit status %d", c.name, r.Verdict, r.ExitStatus())
		}
	}
}

func TestARunThatDidNotGetToItsEndHasNoGoodExitStatus(t *testing.T) {
	c := good()
	c.fault().Drained = nil
	c.o.Judge(c.s, c.answers, limits, true)
	if (c.o.Verdict != Verdict{Held, Unmeasured}) {
		t.Errorf("%+v", c.o)
	}
	for _, scenarios := range [][]Outcome{nil, {c.o}} {
		for _, err := range []error{nil, errors.New("no proof")} {
			r := Run{Interrupted: err == nil, Scenarios: scenarios}
			r.Judge(err)
			if r.Passed || r.ExitStatus() != 1 || err != nil && r.Verdict.Proof != None {
				t.Errorf("%+v, exit status %d", r.Verdict, r.ExitStatus())
			}
		}
	}
}
