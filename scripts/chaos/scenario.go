package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// scenario is faults on a schedule, and what is expected of the platform meanwhile.
type scenario struct {
	name       string
	hypothesis string
	steps      []step
	drain      time.Duration // for the queue to be drained and the page current after the last fault; 0: what the options say
	spares     bool          // voters notice nothing of it
	unmeasured bool          // faults overlap, so that only the end is held to the times
}

// step is a fault from its begin, counted from the scenario's first, to its end.
type step struct {
	at    time.Duration
	fault fault
	lasts time.Duration
}

// once is a scenario of a single fault.
func once(name, hypothesis string, f fault, lasts time.Duration) scenario {
	return scenario{name: name, hypothesis: hypothesis, steps: []step{{0, f, lasts}}}
}

// spared is a scenario of which voters notice nothing.
func spared(s scenario) scenario {
	s.spares = true
	return s
}

// takeover bounds what only another worker can finish: it has to lie untouched for CLAIM_IDLE, 10 s as shipped, before it is
// taken over, and is looked for every half of that.
const takeover = 20 * time.Second

// scenarios are what "-scenario all" runs, in this order.
func scenarios() []scenario {
	const away = 4 * time.Second
	return []scenario{
		spared(once("kill-worker", "Voters notice nothing; what is queued is stored when the worker is back.", fault{Kind: kill, Part: worker}, away)),
		once("kill-vote", "Nobody can vote meanwhile; nothing that was accepted is lost.", fault{Kind: kill, Part: vote}, away),
		spared(once("kill-result", "Voters notice nothing; the page is current when the service is back, and never counts backwards.", fault{Kind: kill, Part: result}, away)),
		once("kill-redis", "Votes are refused at once, and accepted again within 2 s of Redis answering.", fault{Kind: kill, Part: redis}, away),
		spared(once("kill-postgres", "Voters notice nothing; the page keeps the last numbers and is current within 5 s.", fault{Kind: kill, Part: postgres}, away)),
		spared(once("stop-postgres", "Ten seconds without PostgreSQL are ten seconds of queue, and no vote less.", fault{Kind: stop, Part: postgres}, 10*time.Second)),
		spared(crashes("after-read")), spared(crashes("after-commit")), spared(crashes("before-ack")),
		spared(once("pause-worker", "A frozen worker is no different from a dead one.", fault{Kind: pause, Part: worker}, away)),
		once("pause-redis", "A Redis that hangs costs each voter 2 s at most, and soon nothing.", fault{Kind: pause, Part: redis}, away),
		spared(once("pause-postgres", "A PostgreSQL that hangs is given up and asked again; voters notice nothing.", fault{Kind: pause, Part: postgres}, away)),
		spared(once("cut-worker-postgres", "Packets to PostgreSQL vanish: the queue grows, and drains afterwards.", fault{Kind: cut, Part: worker + "-" + postgres}, away)),
		once("cut-vote-redis", "Packets to Redis vanish: votes are refused within 2 s.", fault{Kind: cut, Part: vote + "-" + redis}, away),
		once("slow-redis", "Redis 2 s away is out of reach of a voter's 2 s: refused, not hung.", fault{Kind: slow, Part: redis, N: 2000}, away),
		spared(once("slow-postgres", "PostgreSQL 2 s away delays the numbers, and nothing else.", fault{Kind: slow, Part: postgres, N: 2000}, 8*time.Second)),
		shaky(redis), spared(shaky(postgres)),
		once("full-redis", "A full Redis refuses votes, forgets none, and is drained.", fault{Kind: memory, Part: redis}, away),
		spared(once("full-postgres", "Without a connection to PostgreSQL the queue waits for one.", fault{Kind: connects, Part: postgres}, away)),
		{name: "lose-worker", hypothesis: "What a worker had in hand that never comes back is finished by another.",
			steps: []step{{0, fault{Kind: lose, Part: worker}, 0}}, spares: true},
		{name: "rolling-restart", hypothesis: "Every service in turn: only votes cast while no vote service listens are not accepted.", steps: []step{
			{0, fault{Kind: restart, Part: worker}, 0}, {3 * time.Second, fault{Kind: restart, Part: result}, 0}, {6 * time.Second, fault{Kind: restart, Part: vote}, 0},
		}},
		{name: "all-at-once", hypothesis: "All five killed in one moment, and everything accepted before is there afterwards.", unmeasured: true, steps: []step{
			{0, fault{Kind: kill, Part: worker}, away}, {0, fault{Kind: kill, Part: redis}, away}, {0, fault{Kind: kill, Part: postgres}, away},
			{0, fault{Kind: kill, Part: result}, away}, {0, fault{Kind: kill, Part: vote}, away},
		}},
	}
}

func crashes(point string) scenario {
	return scenario{name: "crash-" + point, hypothesis: "Workers that die " + strings.ReplaceAll(point, "-", " ") + ", one after the other, lose and double nothing.",
		steps: []step{{0, fault{Kind: crash, Part: worker, Arg: point}, 0}}, drain: takeover}
}

// shaky has one network fault after the other.
func shaky(server string) scenario {
	s := scenario{name: "shaky-" + server, hypothesis: "Jitter, resets, late closes and little bandwidth cost time; what can't be accepted is refused, and nothing lost.", unmeasured: true}
	for i, f := range []fault{{Kind: jitter, N: 200}, {Kind: reset, N: 100}, {Kind: linger, N: 500}, {Kind: trickle, N: 32}} {
		f.Part = server
		s.steps = append(s.steps, step{time.Duration(i) * 3 * time.Second, f, 2 * time.Second})
	}
	return s
}

// choose returns the scenarios of a comma-separated list of names, as far as the target can do them. "all" are all of them, and
// those that the target can't do are told in left.
func choose(list string, can func(fault) bool) (chosen []scenario, left []string, err error) {
	known := scenarios()
	possible := func(s scenario) bool {
		return !slices.ContainsFunc(s.steps, func(st step) bool { return !can(st.fault) })
	}
	for _, name := range strings.Split(list, ",") {
		if name == "all" {
			for _, s := range known {
				if possible(s) {
					chosen = append(chosen, s)
				} else {
					left = append(left, s.name)
				}
			}
			continue
		}
		i := slices.IndexFunc(known, func(s scenario) bool { return s.name == name })
		switch {
		case i < 0:
			return nil, nil, fmt.Errorf("no scenario %q; -list shows them", name)
		case !possible(known[i]):
			return nil, nil, fmt.Errorf("scenario %s needs a network between the processes that can be disturbed: it runs with -target local", name)
		}
		chosen = append(chosen, known[i])
	}
	return chosen, left, nil
}

// touches says whether a fault of the scenario ends or freezes processes of the part.
func (s scenario) touches(part string) bool {
	return slices.ContainsFunc(s.steps, func(st step) bool { return st.fault.onProcess() && st.fault.Part == part })
}
