package scenario

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func anything(Fault) bool { return true }

func TestASeedAlwaysDrawsTheSameFaults(t *testing.T) {
	random := func(seed uint64) Scenario { return Random(seed, 2*time.Minute, 2, anything) }
	one, same, other := random(7), random(7), random(8)
	if !reflect.DeepEqual(one, same) || reflect.DeepEqual(one.Steps, other.Steps) {
		t.Errorf("seed 7: %v and %v, seed 8: %v", one.Steps, same.Steps, other.Steps)
	}
}

func TestRandomFaultsNeverMeetOnOnePartAndEndInTime(t *testing.T) {
	overlaps := false
	for seed := range uint64(50) {
		s := Random(seed, time.Minute, 2, anything)
		if len(s.Steps) < 8 {
			t.Errorf("seed %d: only %d faults in a minute", seed, len(s.Steps))
		}
		for i, a := range s.Steps {
			if a.At+a.Lasts > time.Minute || a.Lasts <= 0 {
				t.Errorf("seed %d: %v lasts from %v for %v", seed, a.Fault, a.At, a.Lasts)
			}
			for _, b := range s.Steps[i+1:] {
				if b.At >= a.At+a.Lasts {
					continue
				}
				overlaps = true
				if a.Fault.resource() == b.Fault.resource() {
					t.Errorf("seed %d: %v and %v at the same time", seed, a.Fault, b.Fault)
				}
			}
		}
	}
	if !overlaps {
		t.Error("no two faults overlapped")
	}
}

func TestASecondQueueIsBrokenOnlyWhereThereIsOne(t *testing.T) {
	breaksSecond := func(steps []Step) bool {
		return slices.ContainsFunc(steps, func(st Step) bool { return strings.HasSuffix(st.Fault.Part, Redis2) })
	}
	one, skipped, err := Choose("all", 1, anything)
	two, none, errTwo := Choose("all", 2, anything)
	if err != nil || errTwo != nil || len(one)+len(skipped) != len(two) || len(none) > 0 ||
		!slices.Contains(skipped, "flip-flop") {
		t.Errorf("%d and %d scenarios, skipped %q and %q, %v, %v", len(one), len(two), skipped, none, err, errTwo)
	}
	if slices.ContainsFunc(one, func(s Scenario) bool { return breaksSecond(s.Steps) }) {
		t.Error("with one queue there is a scenario that breaks a second")
	}
	if _, _, err := Choose("kill-one-redis", 1, anything); err == nil || !strings.Contains(err.Error(), "-queues 2") {
		t.Errorf("kill-one-redis with one queue: %v", err)
	}
	if !breaksSecond(Random(1, time.Minute, 2, anything).Steps) {
		t.Error("random faults leave a second queue alone")
	}
}

func TestATargetIsGivenOnlyFaultsThatItCanDo(t *testing.T) {
	can := func(f Fault) bool { return f.Kind != Slow && f.Kind != Cut }
	for _, st := range Random(1, 10*time.Minute, 1, can).Steps {
		if !can(st.Fault) || strings.HasSuffix(st.Fault.Part, Redis2) {
			t.Errorf("%v", st.Fault)
		}
	}
	chosen, skipped, err := Choose("all", 1, can)
	if err != nil || len(chosen)+len(skipped) != len(All(1)) || len(skipped) == 0 {
		t.Errorf("%d chosen, %d skipped, %v", len(chosen), len(skipped), err)
	}
	for _, name := range []string{"slow-redis", "no-such-scenario"} {
		if _, _, err := Choose(name, 1, can); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
