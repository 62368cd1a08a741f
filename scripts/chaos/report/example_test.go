package report

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"petvote/infra/ledger"
	"petvote/scripts/chaos/record"
	"petvote/shared/ballot"
)

// exampleRun is a plausible run, the same each time: short and long scenarios, one fault and many that overlap, with
// the naive worker votes that are lost, and one slow recovery.
func exampleRun(worker string) *record.Run {
	r := &record.Run{Started: time.Date(2026, 11, 25, 8, 12, 0, 0, time.UTC),
		Command: "go run ./scripts/chaos -rate 200 -seed 7", Machine: "2 cores, linux/amd64, go1.26.8",
		Target: "local", Worker: worker, Rate: 200, Retry: true, Seed: 7}
	addExample(r, "kill-worker", "Voters notice nothing. Queued votes are stored once the worker is back.", 25,
		exampleFault{"worker", "kill", 8, 13})
	addExample(r, "pause-postgres", "PostgreSQL hangs: statements time out and are retried. Voters notice nothing.", 35,
		exampleFault{"postgres", "pause", 8, 20})
	addExample(r, "kill-redis", "Votes are refused at once, and accepted again within 2 s of Redis answering.", 20,
		exampleFault{"redis", "kill", 6, 9.5})
	addExample(r, "restart-vote", "Votes are refused only while no vote service listens.", 10,
		exampleFault{"vote", "restart", 4, 4.4})
	random := rand.New(rand.NewPCG(7, 7))
	var many []exampleFault
	for at := 6.0; at < 112; at += 2 + 6*random.Float64() {
		part := []string{"worker", "postgres", "redis", "vote", "result"}[random.IntN(5)]
		how := []string{"kill", "pause", "cut the network of"}[random.IntN(3)]
		many = append(many, exampleFault{part, how, at, min(at+0.5+9*random.Float64()*random.Float64(), 114)})
	}
	addExample(r, "random", "Whatever happens (seed 7), no accepted vote is lost and none is counted twice.", 120, many...)
	o := &r.Scenarios[2]
	o.Verdict.Recovery, o.Load = record.Slow, 12.3
	o.Slow = []string{"votes were accepted again 2.01 s after kill redis (limit 2s)"}
	r.Seconds = 220
	r.Judge(nil)
	return r
}

// exampleMuch has more, longer and larger of everything than one should see.
func exampleMuch() *record.Run {
	r := &record.Run{Seconds: 3900, Target: "local", Worker: "real", Rate: 2000, Seed: 1<<64 - 1, Interrupted: true,
		Command: strings.Repeat("kill-worker,", 40), Machine: strings.Repeat("a machine with a long name ", 5)}
	for i := range 9 {
		addExample(r, strings.Repeat("a-long-name", 5), strings.Repeat("A long hypothesis. ", 9), []float64{10, 150}[i%2],
			exampleFault{"postgres", "cut the network with a very long name between the worker and", 1, 2},
			exampleFault{"redis", "kill", 1.5, 9}, exampleFault{"result", "pause", 9, 9})
		o, n := &r.Scenarios[i], int64(987654321)
		o.Verdict.Proof, o.Failures = record.Refuted, []string{strings.Repeat("a-sentence-without-a-space-", 20)}
		o.Proof.Rows, o.Proof.Tallied.Cats, o.Proof.Shown.Cats = n, n, n-1
		o.Proof.Books = ledger.Books{Accepted: n, Stored: n, Duplicates: n, Dead: n, Waiting: n, Difference: -n}
	}
	return r
}

// exampleFault is a fault of a part.
type exampleFault struct {
	part, how string
	from, to  float64
}

func addExample(r *record.Run, name, hypothesis string, seconds float64, faults ...exampleFault) {
	o := record.Outcome{Name: name, Hypothesis: hypothesis, Seconds: seconds, Load: 1.5,
		Latency: record.Latency{P50: 0.0021, P99: 0.0184, Max: 0.0412},
		Verdict: record.Verdict{Proof: record.Held, Recovery: record.InTime}}
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
		m := record.Sample{At: at}
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
		w := record.FaultWindow{Fault: f.how + " " + f.part, From: f.from, To: f.to, AcceptedAgain: new(0.0),
			Drained: new(0.2 + random.Float64()), Current: new(0.4 + random.Float64())}
		if f.part == "redis" || f.part == "vote" {
			w.FirstRefusal, w.RefusedShare, w.LongestGap, w.AcceptedAgain = new(0.012), 0.97, f.to-f.from+0.48, new(0.483)
		}
		if i == 3 {
			w.Current = nil // the next fault came first
		}
		id := fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64())
		w.Traces = []record.Trace{{TraceID: id, Vote: "vote", Seconds: 0.9, URL: "http://localhost:16686/trace/" + id}}
		o.Faults = append(o.Faults, w)
		state := func(service, what, state string, from, to float64) {
			o.Episodes = append(o.Episodes, record.Interval{Service: service, What: what, State: state, From: from, To: to})
		}
		if f.part == "postgres" {
			state("worker", "breaker postgres", "open", f.from+1.2, f.to)
			state("worker", "breaker postgres", "half-open", f.to, f.to+0.4)
		} else {
			state(f.part, "readiness", "draining", f.from, f.from+0.2)
			state(f.part, "readiness", "no answer", f.from+0.2, f.to+0.3)
		}
	}
	p.Sent, p.Stored = p.Accepted+p.Refused+p.Unknown, int(stored)
	p.Rows = 48211 + stored
	p.Tallied, p.Shown = ballot.Counts{Cats: p.Rows}, ballot.Counts{Cats: p.Rows}
	p.Books = ledger.Books{Accepted: int64(p.Accepted), Stored: stored}
	if lost > 0 {
		p.Lost, p.Books.Difference, o.Verdict.Proof = int(lost), lost, record.Refuted
		for i := range lost {
			p.LostIDs = append(p.LostIDs, fmt.Sprintf("lost-vote-%04d", i))
		}
		o.Failures = []string{fmt.Sprintf("%d accepted votes are lost", lost), fmt.Sprintf("the books differ by %d", lost)}
	}
	r.Scenarios = append(r.Scenarios, o)
}
