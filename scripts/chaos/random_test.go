package main

import (
	"reflect"
	"testing"
	"time"
)

func anything(fault) bool { return true }

func TestTheSameSeedMakesTheSameFaultsUp(t *testing.T) {
	one, same, other := randomScenario(7, 2*time.Minute, anything), randomScenario(7, 2*time.Minute, anything), randomScenario(8, 2*time.Minute, anything)
	if !reflect.DeepEqual(one, same) {
		t.Error("seed 7 makes up different faults")
	}
	if reflect.DeepEqual(one.steps, other.steps) {
		t.Error("seeds 7 and 8 make up the same faults")
	}
}

func TestRandomFaultsNeverMeetOnOnePartAndEndInTime(t *testing.T) {
	overlaps := false
	for seed := range uint64(50) {
		s := randomScenario(seed, time.Minute, anything)
		if len(s.steps) < 8 {
			t.Errorf("seed %d: only %d faults in a minute", seed, len(s.steps))
		}
		for i, a := range s.steps {
			if a.at+a.lasts > time.Minute || a.lasts <= 0 {
				t.Errorf("seed %d: %v lasts from %v for %v", seed, a.fault, a.at, a.lasts)
			}
			for _, b := range s.steps[i+1:] {
				if b.at >= a.at+a.lasts {
					continue
				}
				overlaps = true
				if a.fault.claim() == b.fault.claim() {
					t.Errorf("seed %d: %v and %v at the same time", seed, a.fault, b.fault)
				}
			}
		}
	}
	if !overlaps {
		t.Error("no two faults were ever there at once")
	}
}

func TestATargetIsGivenOnlyFaultsThatItCanDo(t *testing.T) {
	can := new(composeTarget).can
	for _, st := range randomScenario(1, 10*time.Minute, can).steps {
		if !can(st.fault) {
			t.Errorf("%v", st.fault)
		}
	}
	chosen, left, err := choose("all", can)
	if err != nil || len(chosen)+len(left) != len(scenarios()) || len(left) == 0 {
		t.Errorf("%d chosen, %d left, %v", len(chosen), len(left), err)
	}
	if _, _, err := choose("slow-redis", can); err == nil {
		t.Error("containers can't be slowed down, and nobody is told")
	}
}
