package main

import (
	"math"
	"time"
)

// timestep is the length of a moment of the timeline.
const timestep = 250 * time.Millisecond

// timeline puts everything that was seen until a time, in seconds, into steps of equal length. Readings older than stale, in
// seconds, are no longer taken for the present. The numbers of the store and of the screen are counted from those at the begin.
func timeline(until, stale float64, answers []answer, queue, stored, pushes []reading, storedBefore, shownBefore int64) []moment {
	step := timestep.Seconds()
	moments := make([]moment, int(math.Ceil(until/step)))
	if len(moments) == 0 {
		return nil
	}
	for i := range moments {
		moments[i].At = float64(i+1) * step
	}
	for _, a := range answers {
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
		m.Queue = latest(queue, m.At, stale, 0)
		m.Stored = latest(stored, m.At, stale, storedBefore)
		m.OnScreen = latest(pushes, m.At, math.Inf(1), shownBefore) // a page shows its last number for as long as it takes
	}
	return moments
}

// latest is the newest reading by a time, counted from a number; nil if there is none young enough.
func latest(readings []reading, at, stale float64, from int64) *int64 {
	for i := len(readings) - 1; i >= 0; i-- {
		if r := readings[i]; r.at <= at {
			if at-r.at > stale {
				return nil
			}
			n := r.value - from
			return &n
		}
	}
	return nil
}
