package main

import (
	"math"
	"testing"

	"github.com/google/uuid"
)

// voting makes answers, each after 10 ms, to ten votes a second, that are not accepted if they were sent between two times.
func voting(until, from, to float64, otherwise status) []answer {
	var answers []answer
	for i := range int(until * 10) {
		sent := float64(i) / 10
		a := answer{Vote: uuid.New(), Sent: sent, At: sent + 0.01, Status: accepted, TraceID: "t"}
		if sent > from && sent < to {
			a.Status = otherwise
		}
		answers = append(answers, a)
	}
	return answers
}

func near(got *float64, want float64) bool { return got != nil && math.Abs(*got-want) < 0.011 }

func TestAWoundTellsHowLongVotesWereRefused(t *testing.T) {
	w := wound{From: 2, To: 4}
	w.healed(voting(8, 2.25, 4.55, refused), nil, 10)
	if !near(w.FirstRefusal, 0.31) || !near(w.AcceptedAgain, 0.61) || math.Abs(w.LongestGap-2.4) > 0.011 || w.RefusedShare < 0.85 || w.RefusedShare > 0.95 {
		t.Errorf("first refusal %v, accepted again %v, gap %v, share %v", *w.FirstRefusal, *w.AcceptedAgain, w.LongestGap, w.RefusedShare)
	}
}

func TestAWoundThatNoVoterNoticedHasNoRefusals(t *testing.T) {
	w := wound{From: 2, To: 4}
	w.healed(voting(8, 9, 9, refused), nil, 10)
	if w.FirstRefusal != nil || !near(w.AcceptedAgain, 0) || w.RefusedShare != 0 {
		t.Errorf("%+v", w)
	}
}

func TestAWoundThatNeverHealsSaysSo(t *testing.T) {
	w := wound{From: 2, To: 4}
	w.healed(voting(8, 2, 9, unknown), nil, 10)
	if w.AcceptedAgain != nil || w.well() {
		t.Errorf("accepted again after %v", *w.AcceptedAgain)
	}
}

func TestRefusalsLongAfterAFaultAreNotItsOwn(t *testing.T) {
	w := wound{From: 1, To: 2}
	w.healed(voting(8, 5, 6, refused), nil, 10)
	if w.FirstRefusal != nil || !near(w.AcceptedAgain, 0) {
		t.Errorf("%+v", w)
	}
}

func TestTheQueueIsDrainedAndThePageCurrentOnlyWhenBothAreSeen(t *testing.T) {
	var queue, stored, pushes []reading
	for i := range 40 { // quarters of a second; the store is away until 4 s, its numbers unknown; the page follows at 6 s
		at := float64(i) * 0.25
		switch {
		case at < 2:
			queue, stored, pushes = append(queue, reading{at, 0}), append(stored, reading{at, 100}), append(pushes, reading{at, 100})
		case at < 4:
			queue = append(queue, reading{at, 500})
		case at < 5:
			queue, stored = append(queue, reading{at, 300}), append(stored, reading{at, 300})
		default:
			queue, stored = append(queue, reading{at, 3}), append(stored, reading{at, 600})
		}
		if at >= 6 {
			pushes = append(pushes, reading{at, 600})
		}
	}
	moments := timeline(10, 0.6, voting(10, 20, 20, refused), queue, stored, pushes, 100, 100)
	if moments[11].Stored != nil {
		t.Errorf("at 3 s the store was asked last at %v", *moments[11].Stored)
	}
	w := wound{From: 2, To: 4}
	w.healed(nil, moments, 10)
	if !near(w.Drained, 1) || !near(w.Current, 2) {
		t.Errorf("drained %v, current %v", *w.Drained, w.Current)
	}
}

func TestTheTracesAreOfThoseWhoWaitedLongest(t *testing.T) {
	answers := voting(8, 2, 4, unknown)
	answers[41].At = answers[41].Sent + 1.5
	links := throughIt(wound{From: 2, To: 4, AcceptedAgain: new(float64)}, append(answers, answer{Status: accepted, TraceID: "slow", Sent: 1.9, At: 3.2}), 2, "http://jaeger")
	if len(links) != 2 || links[0].URL != "http://jaeger/trace/slow" || links[0].Seconds < links[1].Seconds {
		t.Errorf("%+v", links)
	}
}
