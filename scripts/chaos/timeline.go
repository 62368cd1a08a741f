package main

import (
	"math"
	"sort"
	"time"
)

// timestep is the length of a moment of the timeline.
const timestep = 250 * time.Millisecond

// view is everything that was seen so far, each list in the order of time.
type view struct {
	answers               []answer
	queue, stored, pushes []reading
}

// timeline puts what was seen until a time, in seconds, into steps of equal length. Readings older than stale, in seconds, are no
// longer taken for the present. Votes are counted from those that were stored before.
func (v view) timeline(until, stale float64, before int64) []moment {
	step := timestep.Seconds()
	moments := make([]moment, int(math.Ceil(until/step)))
	if len(moments) == 0 {
		return nil
	}
	for i := range moments {
		moments[i].At = float64(i+1) * step
	}
	for _, a := range v.answers {
		m := &moments[min(int(a.At/step), len(moments)-1)]
		switch a.Status {
		case accepted:
			m.Accepted++
		case unknown:
			m.Unknown++
		default:
			m.Refused++
		}
	}
	total := 0
	for i := range moments {
		m := &moments[i]
		total += m.Accepted
		m.Total = total
		m.Queue = latest(v.queue, m.At, stale, 0)
		m.Stored = latest(v.stored, m.At, stale, before)
		m.OnScreen = latest(v.pushes, m.At, math.Inf(1), before) // a page shows its last number for as long as it takes
	}
	return moments
}

// latest is the newest reading by a time, counted from a number; nil if there is none young enough.
func latest(readings []reading, at, stale float64, from int64) *int64 {
	later := sort.Search(len(readings), func(i int) bool { return readings[i].at > at })
	if later == 0 || at-readings[later-1].at > stale {
		return nil
	}
	n := readings[later-1].value - from
	return &n
}
