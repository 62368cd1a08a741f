package record

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"time"

	"petvote/infra/ledger"
	"petvote/infra/voters"
)

// Reading is a total that was read at a time, in seconds since the scenario began.
type Reading = voters.Push

// Observations are everything observed so far, each list in the order of time.
type Observations struct {
	Answers               []ledger.Answer
	Queue, Stored, Pushes []Reading
}

// calm is how long, in seconds, nothing may be refused for votes to count as accepted again.
const calm = 0.5

// Recover fills in the recovery from a fault. rate is in votes per second.
func (w *FaultWindow) Recover(seen Observations, rate int) {
	w.refusals(seen.Answers)
	w.gap(seen.Answers)
	w.drainage(seen, rate)
}

// refusals covers the votes that were not accepted: those sent before the fault's end, and those that follow them
// closely.
func (w *FaultWindow) refusals(answers []ledger.Answer) {
	failed := slices.DeleteFunc(slices.Clone(answers), func(a ledger.Answer) bool {
		return a.Status == ledger.Accepted || a.At < w.From
	})
	slices.SortFunc(failed, func(a, b ledger.Answer) int { return cmp.Compare(a.Sent, b.Sent) })
	var last float64 // when the last of them was sent
	for _, a := range failed {
		if a.Sent > max(last, w.To)+calm {
			break
		}
		last = max(last, a.Sent)
		if after := a.At - w.From; w.FirstRefusal == nil || after < *w.FirstRefusal {
			w.FirstRefusal = &after
		}
	}
	if w.FirstRefusal == nil {
		w.AcceptedAgain = new(float64)
		return
	}
	sent, refused := 0, 0
	for _, a := range answers {
		if a.Sent < w.From || a.Sent > max(last, w.From) {
			continue
		}
		if sent++; a.Status != ledger.Accepted {
			refused++
		}
	}
	w.RefusedShare = float64(refused) / float64(max(sent, 1))
	if again := slices.IndexFunc(answers, func(a ledger.Answer) bool {
		return a.Status == ledger.Accepted && a.At >= w.To && a.Sent > last
	}); again >= 0 {
		w.AcceptedAgain = new(answers[again].At - w.To)
	}
}

// end is when votes were accepted again, or the fault's own end if they never were.
func (w *FaultWindow) end() float64 {
	if w.AcceptedAgain == nil {
		return w.To
	}
	return w.To + *w.AcceptedAgain
}

// gap is the longest time without an accepted vote that begins before votes are accepted again.
func (w *FaultWindow) gap(answers []ledger.Answer) {
	last := w.From
	for _, a := range answers {
		if a.Status != ledger.Accepted || a.At < w.From {
			continue
		}
		w.LongestGap = max(w.LongestGap, a.At-last)
		if last = a.At; last > w.end() {
			return
		}
	}
}

// drainage covers the queue and the page. The queue is drained when it holds no more than arrives in a quarter of a
// second; the page is current when it shows the votes stored at that time.
func (w *FaultWindow) drainage(seen Observations, rate int) {
	few := max(int64(rate)/4, 20)
	drained := slices.IndexFunc(seen.Queue, func(r Reading) bool { return r.At >= w.To && r.Total <= few })
	if drained < 0 {
		return
	}
	at := seen.Queue[drained].At
	w.Drained = new(at - w.To)
	i := slices.IndexFunc(seen.Stored, func(r Reading) bool { return r.At >= at })
	if i < 0 {
		return
	}
	stored := seen.Stored[i].Total
	if shown := slices.IndexFunc(seen.Pushes, func(r Reading) bool { return r.Total >= stored }); shown >= 0 {
		w.Current = new(max(seen.Pushes[shown].At, at) - w.To)
	}
}

// Recovered reports whether everything had recovered at a time.
func (w *FaultWindow) Recovered(at float64) bool {
	return w.AcceptedAgain != nil && w.Drained != nil && w.Current != nil && at >= w.To+calm
}

// Slowest keeps the traces of up to n accepted votes that waited longest between the fault and the recovery.
func (w *FaultWindow) Slowest(answers []ledger.Answer, n int, jaeger string) {
	for _, a := range answers {
		if a.Status == ledger.Accepted && a.TraceID != "" && a.At >= w.From && a.Sent <= w.end() {
			trace := Trace{TraceID: a.TraceID, Vote: a.Vote.String(), Seconds: a.At - a.Sent}
			if jaeger != "" {
				trace.URL = jaeger + "/trace/" + a.TraceID
			}
			w.Traces = append(w.Traces, trace)
		}
	}
	slices.SortFunc(w.Traces, func(a, b Trace) int { return cmp.Compare(b.Seconds, a.Seconds) })
	w.Traces = slices.Clip(w.Traces[:min(n, len(w.Traces))])
}

// Timestep is the length of a sample of the timeline; in a long run it is so much longer that there are no more than
// mostSamples.
const (
	Timestep    = 250 * time.Millisecond
	mostSamples = 2000
)

// Timeline divides the observations until a time, in seconds, into samples of equal length. A reading older than
// stale, in seconds, no longer counts. Votes stored before the scenario are subtracted.
func (v Observations) Timeline(until, stale float64, before int64) []Sample {
	step := max(Timestep.Seconds(), until/mostSamples)
	samples := make([]Sample, int(math.Ceil(until/step)))
	if len(samples) == 0 {
		return nil
	}
	for _, a := range v.Answers {
		m := &samples[min(int(a.At/step), len(samples)-1)]
		switch a.Status {
		case ledger.Accepted:
			m.Accepted++
		case ledger.Unknown:
			m.Unknown++
		default:
			m.Refused++
		}
	}
	total := 0
	for i := range samples {
		m := &samples[i]
		m.At = float64(i+1) * step
		total += m.Accepted
		m.Total = total
		m.Queue = latest(v.Queue, m.At, stale, 0)
		for _, r := range v.Queue { // its peak, which a longer sample would hide
			if m.Queue != nil && r.At > m.At-step && r.At <= m.At {
				m.Queue = new(max(*m.Queue, r.Total))
			}
		}
		m.Stored = latest(v.Stored, m.At, stale, before)
		m.OnScreen = latest(v.Pushes, m.At, math.Inf(1), before) // a page keeps showing its last number
	}
	return samples
}

// latest is the newest reading at a time, less a number; nil if there is none young enough.
func latest(readings []Reading, at, stale float64, less int64) *int64 {
	later := sort.Search(len(readings), func(i int) bool { return readings[i].At > at })
	if later == 0 || at-readings[later-1].At > stale {
		return nil
	}
	return new(readings[later-1].Total - less)
}

// Latencies summarises the answers that came.
func Latencies(answers []ledger.Answer) Latency {
	var took []float64
	for _, a := range answers {
		if a.Code != 0 {
			took = append(took, a.At-a.Sent)
		}
	}
	if len(took) == 0 {
		return Latency{}
	}
	slices.Sort(took)
	at := func(q float64) float64 { return took[int(q*float64(len(took)-1))] }
	return Latency{P50: at(0.5), P99: at(0.99), Max: at(1)}
}
