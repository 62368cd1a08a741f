package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// randomScenario makes faults up: any number at once, but never two on the same process or the same network path. The same seed
// and length on the same target give the same faults.
func randomScenario(seed uint64, length time.Duration, can func(fault) bool) scenario {
	dice := rand.New(rand.NewPCG(seed, 0))
	s := scenario{name: "random", hypothesis: fmt.Sprintf("Whatever comes (seed %d), nothing is lost and nothing counted twice.", seed), unmeasured: true}
	palette := slices.DeleteFunc(everyFault(dice), func(f fault) bool { return !can(f) })
	free := make(map[string]time.Duration) // when a claim is free again
	for at := time.Duration(0); ; at += between(dice, 500*time.Millisecond, 4*time.Second) {
		f, lasts := palette[dice.IntN(len(palette))], between(dice, 500*time.Millisecond, 6*time.Second)
		if at+lasts > length {
			return s
		}
		if free[f.claim()] > at {
			continue
		}
		free[f.claim()] = at + lasts + recovery
		s.steps = append(s.steps, step{at.Round(time.Millisecond), f, lasts.Round(time.Millisecond)})
	}
}

// recovery is how long a part is left alone after a fault: it has to be there for the next to be one.
const recovery = 2 * time.Second

func between(dice *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(dice.Int64N(int64(most-least)))
}

// everyFault has each kind on each part it can be done to, but those that only a scenario of their own makes sense of.
func everyFault(dice *rand.Rand) []fault {
	var all []fault
	for _, part := range []string{vote, worker, result, redis, postgres} {
		all = append(all, fault{Kind: kill, Part: part}, fault{Kind: pause, Part: part}, fault{Kind: stop, Part: part})
	}
	for _, part := range services {
		all = append(all, fault{Kind: restart, Part: part})
	}
	for _, edge := range []string{"vote-redis", "worker-redis", "worker-postgres", "result-postgres"} {
		all = append(all, fault{Kind: cut, Part: edge}, fault{Kind: slow, Part: edge, N: 100 + dice.IntN(2900)},
			fault{Kind: jitter, Part: edge, N: 50 + dice.IntN(450)}, fault{Kind: reset, Part: edge, N: dice.IntN(300)},
			fault{Kind: linger, Part: edge, N: 100 + dice.IntN(900)}, fault{Kind: trickle, Part: edge, N: 4 + dice.IntN(60)})
	}
	return append(all, fault{Kind: memory, Part: redis}, fault{Kind: connects, Part: postgres})
}

// claim is what no other fault may touch at the same time.
func (f fault) claim() string {
	switch f.Kind {
	case cut, slow, jitter, reset, linger, trickle:
		return "network " + f.Part
	}
	return f.Part
}
