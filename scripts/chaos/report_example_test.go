package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// exampleRun is a run as it could have been, the same each time: short and long scenarios, one fault and many that overlap, and
// with the naive worker votes that are lost.
func exampleRun(worker string) *record {
	r := &record{
		Started: time.Date(2026, 11, 25, 8, 12, 0, 0, time.UTC), Command: "go run ./scripts/chaos -rate 200 -seed 7", Machine: "2 cores, 8 GB, Linux 6.12, Go 1.26.8",
		Target: "local", Worker: worker, Rate: 200, Retry: true, Seed: 7,
	}
	if worker == "naive" {
		r.Command += " -worker naive"
	}
	r.addExample("kill worker", "Voters notice nothing; the queue keeps what was accepted until the worker is back.", 25, exampleFault{"worker", "kill", 8, 13})
	r.addExample("pause PostgreSQL", "Votes are accepted all along; the results page shows the last numbers and catches up within a second.", 35, exampleFault{"postgres", "pause", 8, 20})
	r.addExample("kill Redis", "Votes are refused within two seconds and accepted again as soon as Redis answers; none that was accepted is lost.", 20, exampleFault{"redis", "kill", 6, 9.5})
	r.addExample("restart vote", "The page keeps what could not be sent.", 10, exampleFault{"vote", "restart", 4, 4.4})
	random := rand.New(rand.NewPCG(7, 7))
	var many []exampleFault
	for at := 6.0; at < 112; at += 2 + 6*random.Float64() {
		part := []string{"worker", "postgres", "redis", "vote", "result"}[random.IntN(5)]
		many = append(many, exampleFault{part, []string{"kill", "pause", "cut the network of"}[random.IntN(3)], at, min(at+0.5+9*random.Float64()*random.Float64(), 114)})
	}
	r.addExample("whatever happens", "Faults at random, several at once, for two minutes: whatever is accepted is counted once.", 120, many...)
	r.Passed = true
	for i := range r.Scenarios {
		r.Seconds += r.Scenarios[i].Seconds + 2
		r.Passed = r.Passed && r.Scenarios[i].Passed
	}
	return r
}

// exampleMuch is a run with more, longer and larger of everything than one should see.
func exampleMuch() *record {
	r := &record{Started: time.Date(2026, 11, 25, 8, 12, 0, 0, time.UTC), Seconds: 3900, Target: "local", Worker: "real", Rate: 2000, Seed: 1<<64 - 1, Interrupted: true,
		Command: "go run ./scripts/chaos -rate 2000 -only " + strings.Repeat("kill-worker,", 30), Machine: strings.Repeat("a machine with a long name ", 5)}
	for i := range 25 {
		faults := []exampleFault{{"postgres", "cut the network with a very long name between the worker and", 1, 2}, {"redis", "kill", 1.5, 9}, {"result", "pause", 9, 9}}
		r.addExample(fmt.Sprintf("scenario-with-a-name-of-%02d-letters-without-a-space", i), strings.Repeat("What was expected of it, at some length. ", 6), []float64{10, 150}[i%2], faults...)
		o := &r.Scenarios[i]
		o.Latency.Max = 30
		p := &o.Proof
		p.Rows, p.Tally, p.OnScreen, p.Restarted = 987654321, 987654321, 987654320, "postgres-exporter, worker, result"
		p.Books = books{987654321, 987654321, 987654321, 987654321, 987654321, -98765}
		if i%5 == 1 {
			o.Passed, o.Failures = false, []string{strings.Repeat("a-sentence-without-a-space-", 20)}
		}
	}
	return r
}

// exampleFault is a fault to be done to a part.
type exampleFault struct {
	part, how string
	from, to  float64
}

func (r *record) addExample(name, hypothesis string, seconds float64, faults ...exampleFault) {
	o := outcome{Name: name, Hypothesis: hypothesis, Passed: true, Seconds: seconds, Latency: latency{0.0021, 0.0184, 0.0412}}
	random := rand.New(rand.NewPCG(r.Seed, uint64(len(r.Scenarios))))
	down := func(part string, at float64) bool {
		for _, f := range faults {
			if f.part == part && at > f.from && at <= f.to {
				return true
			}
		}
		return false
	}
	const step = 0.25
	var stored, lost, shown int64
	p := &o.Proof
	for at := step; at <= seconds; at += step {
		m := moment{At: at}
		n := int(float64(r.Rate)*step) + random.IntN(9) - 4
		switch {
		case down("vote", at):
			m.Unknown = n
		case down("redis", at):
			m.Unknown = n / 10
			m.Refused = n - m.Unknown
		default:
			m.Accepted = n
		}
		p.Accepted, p.Refused, p.Unknown = p.Accepted+m.Accepted, p.Refused+m.Refused, p.Unknown+m.Unknown
		m.Total = p.Accepted
		if !down("worker", at) && !down("redis", at) && !down("postgres", at) {
			stored += min(int64(p.Accepted)-stored-lost-int64(random.IntN(4)), 420)
		}
		if r.Worker == "naive" && down("worker", at) && !down("worker", at-step) {
			lost += int64(n) / 2
		}
		if !down("postgres", at) {
			m.Stored = new(stored)
			if !down("result", at) {
				shown = stored
			}
		}
		if !down("result", at) {
			m.OnScreen = new(shown)
		}
		if !down("redis", at) {
			m.Queue = new(int64(p.Accepted) - stored - lost)
		}
		o.Timeline = append(o.Timeline, m)
	}
	stored = int64(p.Accepted) - lost
	last := &o.Timeline[len(o.Timeline)-1]
	last.Stored, last.OnScreen, last.Queue = new(stored), new(stored), new(int64(0))

	for i, f := range faults {
		w := wound{Fault: f.how + " " + f.part, From: f.from, To: f.to, AcceptedAgain: new(0.0), Drained: new(0.2 + random.Float64()), Current: new(0.4 + random.Float64())}
		if f.part == "redis" || f.part == "vote" {
			w.FirstRefusal, w.RefusedShare, w.LongestGap, w.AcceptedAgain = new(0.012), 0.97, f.to-f.from+0.48, new(0.483)
			o.Latency.Max = 2.004
		}
		if i == 3 {
			w.Current = nil // the next fault came first
		}
		for n := range min(2, len(faults)) {
			id := fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64())
			w.Traces = append(w.Traces, traceLink{TraceID: id, Vote: exampleVote(random), Seconds: 0.9 / float64(n+1), URL: "http://localhost:16686/trace/" + id})
		}
		o.Wounds = append(o.Wounds, w)
		o.Episodes = append(o.Episodes, f.said()...)
	}
	p.Sent = p.Accepted + p.Refused + p.Unknown
	p.Retries, p.RefusedStored, p.UnknownStored = p.Refused*2, p.Refused/60, p.Unknown/4
	p.UnknownNotStored = p.Unknown - p.UnknownStored
	p.Stored = int(stored) + p.RefusedStored + p.UnknownStored
	p.Rows = 48211 + int64(p.Stored)
	p.Tally, p.OnScreen = p.Rows, p.Rows
	p.Books = books{Accepted: int64(p.Accepted + p.RefusedStored + p.UnknownStored + p.Retries/9), Stored: int64(p.Stored), Duplicates: int64(p.Retries / 9)}
	if lost > 0 {
		p.Lost, o.Passed = int(lost), false
		for range lost {
			p.LostIDs = append(p.LostIDs, exampleVote(random))
		}
		p.Books.Difference = lost
		o.Failures = []string{fmt.Sprintf("%d accepted votes are not stored.", lost), fmt.Sprintf("The books do not balance: the difference is %d.", lost)}
	}
	r.Scenarios = append(r.Scenarios, o)
}

// said is what the services say of a fault.
func (f exampleFault) said() []spell {
	switch f.part {
	case "worker":
		return []spell{{"worker", "readiness", "no answer", f.from + 0.1, f.to + 0.2}}
	case "postgres":
		return []spell{
			{"worker", "breaker postgres", "open", f.from + 1.2, f.to}, {"worker", "breaker postgres", "half-open", f.to, f.to + 0.4},
			{"worker", "readiness", "unavailable", f.from + 1.2, f.to + 0.4}, {"result", "readiness", "degraded", f.from + 2, f.to + 0.5},
		}
	case "redis":
		return []spell{
			{"vote", "breaker redis", "open", f.from + 0.6, f.to + 0.1}, {"vote", "breaker redis", "half-open", f.to + 0.1, f.to + 0.4},
			{"vote", "readiness", "unavailable", f.from + 0.6, f.to + 0.4}, {"worker", "readiness", "unavailable", f.from + 0.6, f.to + 0.6},
		}
	}
	return []spell{{f.part, "readiness", "draining", f.from, f.from + 0.2}, {f.part, "readiness", "no answer", f.from + 0.2, f.to + 0.3}}
}

func exampleVote(random *rand.Rand) string {
	return fmt.Sprintf("01a20acb-%04x-7%03x-9%03x-%012x", random.IntN(1<<16), random.IntN(1<<12), random.IntN(1<<12), random.Int64N(1<<48))
}
