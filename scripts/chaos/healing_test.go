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
	w.healed(view{answers: voting(8, 2.25, 4.55, refused)}, 10)
	if !near(w.FirstRefusal, 0.31) || !near(w.AcceptedAgain, 0.61) || math.Abs(w.LongestGap-2.4) > 0.011 || w.RefusedShare < 0.85 || w.RefusedShare > 0.95 {
		t.Errorf("first refusal %v, accepted again %v, gap %v, share %v", *w.FirstRefusal, *w.AcceptedAgain, w.LongestGap, w.RefusedShare)
	}
}

func TestAWoundThatNoVoterNoticedHasNoRefusals(t *testing.T) {
	w := wound{From: 2, To: 4}
	w.healed(view{answers: voting(8, 9, 9, refused)}, 10)
	if w.FirstRefusal != nil || !near(w.AcceptedAgain, 0) || w.RefusedShare != 0 {
		t.Errorf("%+v", w)
	}
}

func TestAWoundThatNeverHealsSaysSo(t *testing.T) {
	w := wound{From: 2, To: 4}
	w.healed(view{answers: voting(8, 2, 9, unknown)}, 10)
	if w.AcceptedAgain != nil || w.well() {
		t.Errorf("accepted again after %v", *w.AcceptedAgain)
	}
}

func TestRefusalsLongAfterAFaultAreNotItsOwn(t *testing.T) {
	w := wound{From: 1, To: 2}
	w.healed(view{answers: voting(8, 5, 6, refused)}, 10)
	if w.FirstRefusal != nil || !near(w.AcceptedAgain, 0) {
		t.Errorf("%+v", w)
	}
}

// outage is what is seen while the store is away from 2 s to 4 s: the queue grows meanwhile and is drained at 5 s, and the page
// follows at a time of its own.
func outage(follows float64) view {
	var v view
	for i := range 40 { // quarters of a second
		at := float64(i) * 0.25
		switch {
		case at < 2:
			v.queue, v.stored, v.pushes = append(v.queue, reading{at, 0}), append(v.stored, reading{at, 100}), append(v.pushes, reading{at, 100})
		case at < 4:
			v.queue = append(v.queue, reading{at, 500})
		case at < 5:
			v.queue, v.stored = append(v.queue, reading{at, 300}), append(v.stored, reading{at, 300})
		default:
			v.queue, v.stored = append(v.queue, reading{at, 3}), append(v.stored, reading{at, 600})
		}
		if at >= follows {
			v.pushes = append(v.pushes, reading{at, 600})
		}
	}
	return v
}

func TestTheQueueIsDrainedAndThePageCurrentOnlyWhenBothAreSeen(t *testing.T) {
	w := wound{From: 2, To: 4}
	w.healed(outage(6), 10)
	if !near(w.Drained, 1) || !near(w.Current, 2) {
		t.Errorf("drained %v, current %v", w.Drained, w.Current)
	}
	stuck := wound{From: 2, To: 4}
	stuck.healed(outage(20), 10)
	if !near(stuck.Drained, 1) || stuck.Current != nil || stuck.well() {
		t.Errorf("a page that never follows is current after %v", *stuck.Current)
	}
}

func TestAReadingFromBeforeTheEndOfAFaultHealsNothing(t *testing.T) {
	w := wound{From: 2, To: 4}
	w.healed(view{queue: []reading{{1, 0}, {3.9, 0}, {4.5, 900}}}, 10)
	if w.Drained != nil {
		t.Errorf("drained %v", *w.Drained)
	}
}

func TestWhatCouldNotBeAskedIsAGapInTheTimeline(t *testing.T) {
	moments := outage(6).timeline(10, 0.6, 100)
	if m := moments[11]; m.Stored != nil || m.Queue == nil || *m.Queue != 500 {
		t.Errorf("at %v s: %+v", m.At, m)
	}
	if m := moments[39]; m.Stored == nil || *m.Stored != 500 || m.OnScreen == nil || *m.OnScreen != 500 {
		t.Errorf("at %v s: %+v", m.At, m)
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
