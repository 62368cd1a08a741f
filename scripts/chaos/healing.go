package main

import (
	"cmp"
	"slices"
)

// onItsWay is how many entries a queue holds that is drained while votes come in: what arrives in a quarter of a second.
func onItsWay(rate int) int64 { return max(int64(rate)/4, 20) }

// settled is how long, in seconds, nothing may be refused for votes to count as accepted again.
const settled = 0.5

// healed fills in how a wound healed, by what was seen. The answers are in the order of their arrival.
func (w *wound) healed(v view, rate int) {
	w.refusals(v.answers)
	w.gap(v.answers)
	w.recovery(v, rate)
}

// refusals are about votes that were not accepted: those sent before the fault's end, and those that follow them closely.
func (w *wound) refusals(answers []answer) {
	failed := slices.DeleteFunc(slices.Clone(answers), func(a answer) bool { return a.Status == accepted || a.At < w.From })
	slices.SortFunc(failed, func(a, b answer) int { return cmp.Compare(a.Sent, b.Sent) })
	var last float64 // when the last of them was sent
	for _, a := range failed {
		if a.Sent > max(last, w.To)+settled {
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
	w.RefusedShare = share(answers, w.From, max(last, w.From))
	if again := slices.IndexFunc(answers, func(a answer) bool { return a.Status == accepted && a.At >= w.To && a.Sent > last }); again >= 0 {
		waited := answers[again].At - w.To
		w.AcceptedAgain = &waited
	}
}

// share is of the votes sent from a time to another, those that were not accepted.
func share(answers []answer, from, to float64) float64 {
	sent, lost := 0, 0
	for _, a := range answers {
		if a.Sent < from || a.Sent > to {
			continue
		}
		if sent++; a.Status != accepted {
			lost++
		}
	}
	if sent == 0 {
		return 0
	}
	return float64(lost) / float64(sent)
}

// gap is the longest time without an accepted vote that begins before votes are accepted again.
func (w *wound) gap(answers []answer) {
	end := w.To
	if w.AcceptedAgain != nil {
		end += *w.AcceptedAgain
	}
	last := w.From
	for _, a := range answers {
		if a.Status != accepted || a.At < w.From {
			continue
		}
		w.LongestGap = max(w.LongestGap, a.At-last)
		if last = a.At; last > end {
			return
		}
	}
}

// recovery is about the queue and the page: the page is current when it shows what was stored once the queue was drained.
func (w *wound) recovery(v view, rate int) {
	drained := slices.IndexFunc(v.queue, func(r reading) bool { return r.at >= w.To && r.value <= onItsWay(rate) })
	if drained < 0 {
		return
	}
	at := v.queue[drained].at
	took := at - w.To
	w.Drained = &took
	mark := slices.IndexFunc(v.stored, func(r reading) bool { return r.at >= at })
	if mark < 0 {
		return
	}
	if shown := slices.IndexFunc(v.pushes, func(r reading) bool { return r.value >= v.stored[mark].value }); shown >= 0 {
		current := max(v.pushes[shown].at, at) - w.To
		w.Current = &current
	}
}

// well says whether all is as it should be again after a fault.
func (w *wound) well() bool { return w.AcceptedAgain != nil && w.Drained != nil && w.Current != nil }

// throughIt are the traces of up to n votes that were accepted, and waited longest for it, while the wound was open.
func throughIt(w wound, answers []answer, n int, jaeger string) []traceLink {
	var links []traceLink
	end := w.To
	if w.AcceptedAgain != nil {
		end += *w.AcceptedAgain
	}
	for _, a := range answers {
		if a.Status == accepted && a.TraceID != "" && a.At >= w.From && a.Sent <= end {
			links = append(links, traceLink{TraceID: a.TraceID, Vote: a.Vote.String(), Seconds: a.At - a.Sent})
		}
	}
	slices.SortFunc(links, func(a, b traceLink) int { return cmp.Compare(b.Seconds, a.Seconds) })
	links = links[:min(n, len(links))]
	for i := range links {
		if jaeger != "" {
			links[i].URL = jaeger + "/trace/" + links[i].TraceID
		}
	}
	return links
}
