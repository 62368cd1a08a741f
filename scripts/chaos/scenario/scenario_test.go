package scenario

import (
	"reflect"
	"testing"
	"time"
)

func anything(Fault) bool { return true }

func TestASeedAlwaysDrawsTheSameFaults(t *testing.T) {
	random := func(seed uint64) Scenario { return Random(seed, 2*time.Minute, anything) }
	one, same, other := random(7), random(7), random(8)
	if !reflect.DeepEqual(one, same) || reflect.DeepEqual(one.Steps, other.Steps) {
		t.Errorf("seed 7: %v and %v, seed 8: %v", one.Steps, same.Steps, other.Steps)
	}
}

func TestRandomFaultsNeverMeetOnOnePartAndEndInTime(t *testing.T) {
	overlaps := false
	for seed := range uint64(50) {
		s := Random(seed, time.Minute, anything)
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

func TestATargetIsGivenOnlyFaultsThatItCanDo(t *testing.T) {
	can := func(f Fault) bool { return f.Kind != Slow && f.Kind != Cut }
	for _, st := range Random(1, 10*time.Minute, can).Steps {
		if !can(st.Fault) {
			t.Errorf("%v", st.Fault)
		}
	}
	chosen, skipped, err := Choose("all", can)
	if err != nil || len(chosen)+len(skipped) != len(All()) || len(skipped) == 0 {
		t.Errorf("%d chosen, %d skipped, %v", len(chosen), len(skipped), err)
	}
	for _, name := range []string{"slow-redis", "no-such-scenario"} {
		if _, _, err := Choose(name, can); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
