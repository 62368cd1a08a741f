package record

import (
	"math"
	"testing"

	"github.com/google/uuid"

	"petvote/infra/ledger"
)

// voting makes ten answers a second, each after 10 ms. Votes sent between two times are not accepted.
func voting(until, from, to float64, otherwise ledger.Status) []ledger.Answer {
	var answers []ledger.Answer
	for i := range int(until * 10) {
		sent := float64(i) / 10
		a := ledger.Answer{Vote: uuid.New(), Sent: sent, At: sent + 0.01, Status: ledger.Accepted, TraceID: "t"}
		if sent > from && sent < to {
			a.Status = otherwise
		}
		answers = append(answers, a)
	}
	return answers
}

func near(got *float64, want float64) bool { return got != nil && math.Abs(*got-want) < 0.011 }

func TestAFaultWindowTellsHowLongVotesWereRefused(t *testing.T) {
	w := FaultWindow{From: 2, To: 4}
	w.Recover(Observations{Answers: voting(8, 2.25, 4.55, ledger.Refused)}, 10)
	if !near(w.FirstRefusal, 0.31) || !near(w.AcceptedAgain, 0.61) || math.Abs(w.LongestGap-2.4) > 0.011 ||
		w.RefusedShare < 0.85 || w.RefusedShare > 0.95 {
		t.Errorf("%+v", w)
	}
	never := FaultWindow{From: 2, To: 4}
	never.Recover(Observations{Answers: voting(8, 2, 9, ledger.Unknown)}, 10)
	if never.AcceptedAgain != nil || never.Recovered(9) {
		t.Errorf("accepted again after %v", *never.AcceptedAgain)
	}
}

func TestRefusalsOutsideOfAFaultWindowAreNotItsOwn(t *testing.T) {
	for _, from := range []float64{9, 5} { // none at all, and long after the fault
		w := FaultWindow{From: 2, To: 4}
		w.Recover(Observations{Answers: voting(8, from, from+1, ledger.Refused)}, 10)
		if w.FirstRefusal != nil || !near(w.AcceptedAgain, 0) || w.RefusedShare != 0 {
			t.Errorf("%+v", w)
		}
	}
}

// outage is observed while the store is down from 2 s to 4 s: the queue grows meanwhile and is drained at 5 s, and the
// page follows at a time of its own.
func outage(follows float64) (seen Observations) {
	for at := 0.0; at < 10; at += 0.25 {
		queue, stored := int64(3), int64(600)
		switch {
		case at < 2:
			queue, stored = 0, 100
			seen.Pushes = append(seen.Pushes, Reading{At: at, Total: 100})
		case at < 4:
			queue, stored = 500, -1
		case at < 5:
			queue, stored = 300, 300
		}
		seen.Queue = append(seen.Queue, Reading{At: at, Total: queue})
		if stored >= 0 {
			seen.Stored = append(seen.Stored, Reading{At: at, Total: stored})
		}
		if at >= follows {
			seen.Pushes = append(seen.Pushes, Reading{At: at, Total: 600})
		}
	}
	return seen
}

func TestTheQueueIsDrainedAndThePageCurrentOnlyWhenBothAreObserved(t *testing.T) {
	w := FaultWindow{From: 2, To: 4}
	w.Recover(outage(6), 10)
	if !near(w.Drained, 1) || !near(w.Current, 2) {
		t.Errorf("drained %v, current %v", w.Drained, w.Current)
	}
	stuck := FaultWindow{From: 2, To: 4}
	stuck.Recover(outage(20), 10)
	if !near(stuck.Drained, 1) || stuck.Current != nil || stuck.Recovered(9) {
		t.Errorf("a page that never follows is current after %v", *stuck.Current)
	}
	before := FaultWindow{From: 2, To: 4}
	before.Recover(Observations{Queue: []Reading{{At: 1}, {At: 3.9}, {At: 4.5, Total: 900}}}, 10)
	if before.Drained != nil {
		t.Errorf("drained %v by readings from before the end of the fault", *before.Drained)
	}
}

func TestACountThatCouldNotBeReadIsAGapInTheTimeline(t *testing.T) {
	samples := outage(6).Timeline(10, 0.6, 100)
	if m := samples[11]; m.Stored != nil || m.Queue == nil || *m.Queue != 500 {
		t.Errorf("at %v s: %+v", m.At, m)
	}
	long := Observations{Answers: voting(3600, 9, 10, ledger.Refused)}.Timeline(3600, 0.6, 0)
	if last := long[len(long)-1]; len(long) != mostSamples || last.At != 3600 || last.Total != 36_000-9 {
		t.Errorf("an hour has %d samples, the last one is %+v", len(long), last)
	}
	if m := samples[39]; m.Stored == nil || *m.Stored != 500 || m.OnScreen == nil || *m.OnScreen != 500 {
		t.Errorf("at %v s: %+v", m.At, m)
	}
}

func TestTheTracesAreOfTheVotesThatWaitedLongest(t *testing.T) {
	answers := voting(8, 2, 4, ledger.Unknown)
	answers[41].At = answers[41].Sent + 1.5
	slow := ledger.Answer{Status: ledger.Accepted, TraceID: "slow", Sent: 1.9, At: 3.2}
	w := FaultWindow{From: 2, To: 4, AcceptedAgain: new(0.0)}
	w.Slowest(append(answers, slow), 2, "http://jaeger")
	if len(w.Traces) != 2 || w.Traces[0].URL != "http://jaeger/trace/slow" || w.Traces[0].Seconds < w.Traces[1].Seconds {
		t.Errorf("%+v", w.Traces)
	}
}
