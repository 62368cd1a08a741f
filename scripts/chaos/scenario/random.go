package scenario

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"petvote/infra/platform"
)

// Random draws faults: any number at once, but never two on the same process or the same network path. The same seed
// and length on the same target give the same faults.
func Random(seed uint64, length time.Duration, queues int, can func(Fault) bool) Scenario {
	dice := rand.New(rand.NewPCG(seed, 0))
	s := Scenario{Name: "random", Overlapping: true,
		Hypothesis: fmt.Sprintf("Whatever happens (seed %d), no accepted vote is lost and none is counted twice.", seed)}
	candidates := slices.DeleteFunc(everyFault(dice, queues), func(f Fault) bool { return !can(f) })
	free := make(map[string]time.Duration) // when a resource may be broken again
	for at := time.Duration(0); ; at += between(dice, 500*time.Millisecond, 4*time.Second) {
		f, lasts := candidates[dice.IntN(len(candidates))], between(dice, 500*time.Millisecond, 6*time.Second)
		if at+lasts > length {
			return s
		}
		if free[f.resource()] > at {
			continue
		}
		free[f.resource()] = at + lasts + rest
		s.Steps = append(s.Steps, Step{at.Round(time.Millisecond), f, lasts.Round(time.Millisecond)})
	}
}

// rest is how long a part is left alone after a fault: it has to be up for the next fault to mean something.
const rest = 2 * time.Second

func between(dice *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(dice.Int64N(int64(most-least)))
}

// everyFault has each kind on each part it can be done to, except those that only make sense in a scenario of their
// own.
func everyFault(dice *rand.Rand, queues int) []Fault {
	parts, edges := Parts, []string{"vote-redis", "worker-redis", "worker-postgres", "result-postgres"}
	all := []Fault{{Kind: Memory, Part: platform.Redis}, {Kind: Connections, Part: platform.Postgres},
		{Kind: Crawl, Part: platform.Postgres, N: 5 + dice.IntN(95)}}
	if queues > 1 {
		parts, edges = append(slices.Clone(parts), Redis2), append(edges, "vote-"+Redis2, "worker-"+Redis2)
		all = append(all, Fault{Kind: Memory, Part: Redis2})
	}
	for _, part := range parts {
		all = append(all, Fault{Kind: Kill, Part: part}, Fault{Kind: Pause, Part: part}, Fault{Kind: Stop, Part: part})
	}
	for _, part := range platform.Services {
		all = append(all, Fault{Kind: Restart, Part: part})
	}
	for _, edge := range edges {
		all = append(all, Fault{Kind: Cut, Part: edge}, Fault{Kind: Slow, Part: edge, N: 100 + dice.IntN(2900)},
			Fault{Kind: Jitter, Part: edge, N: 50 + dice.IntN(450)}, Fault{Kind: Reset, Part: edge, N: dice.IntN(300)},
			Fault{Kind: SlowClose, Part: edge, N: 100 + dice.IntN(900)},
			Fault{Kind: Bandwidth, Part: edge, N: 4 + dice.IntN(60)})
	}
	return all
}

// resource names the part or the network path that no other fault may touch at the same time.
func (f Fault) resource() string {
	if f.OnNetwork() {
		return "network " + f.Part
	}
	return f.Part
}
