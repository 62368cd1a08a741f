package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"petvote/scripts/chaos/record"
	"petvote/shared/ballot"
)

// chart is a scenario's timeline: rows that share one time axis. Each plot is an SVG with the viewBox 0 0 1000 100
// that CSS stretches to the width of its row. All texts are HTML beside it, so that they keep their size.
type chart struct {
	Faults, Services []lane
	Plots            []plot
	Ticks            []tick  // of the time axis
	End              float64 // of the time axis, in seconds
	Points           []point
}

type plot struct {
	Title string
	Ticks []tick
	Paths []path
	Key   []keyEntry
}

// tick is a text at a place, in percent from the left of the time axis or from the top of a plot.
type tick struct {
	At   float64
	Text string
}

type path struct{ Class, D string }

// keyEntry names and sums up a path, which Class is that of; empty: none.
type keyEntry struct {
	Class, Name, Value string
	Area               bool
}

type lane struct {
	Name string
	Bars []bar
}

// bar is a stretch of the time axis, in percent.
type bar struct {
	Left, Width        float64
	Class, State, Full string
}

// point is some samples together: the sums of their answers, and the highest of their counts.
type point struct {
	From float64 `json:"from"`
	record.Sample
}

func (p *point) rate(n int) float64 { return float64(n) / (p.At - p.From) }

const mostPoints = 250 // of a plot

func pointsOf(timeline []record.Sample) (points []point) {
	from := 0.0
	for samples := range slices.Chunk(timeline, max((len(timeline)+mostPoints-1)/mostPoints, 1)) {
		p := point{From: from}
		for _, s := range samples {
			s.Accepted, s.Refused, s.Unknown = s.Accepted+p.Accepted, s.Refused+p.Refused, s.Unknown+p.Unknown
			s.Stored, s.OnScreen, s.Queue = higher(p.Stored, s.Stored), higher(p.OnScreen, s.OnScreen), higher(p.Queue, s.Queue)
			p.Sample = s
		}
		points, from = append(points, p), p.At
	}
	return points
}

func higher(a, b *int64) *int64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

func newChart(o *record.Outcome) *chart {
	end := max(o.Seconds, 1)
	if n := len(o.Timeline); n > 0 {
		end = max(end, o.Timeline[n-1].At)
	}
	points := pointsOf(o.Timeline)
	c := &chart{End: end, Points: points, Plots: []plot{rates(points, end),
		lines("Votes since the start", points, end,
			series{"line accepted", "accepted", func(p *point) *int64 { return new(int64(p.Total)) }},
			series{"line stored", "stored", func(p *point) *int64 { return p.Stored }},
			series{"line screen", "on screen", func(p *point) *int64 { return p.OnScreen }}),
		lines("Votes in the queue", points, end,
			series{"line queue", "at the end", func(p *point) *int64 { return p.Queue }}),
	}}
	for i, w := range o.Faults {
		full := fmt.Sprintf("%d %s, %.1f s to %.1f s", i+1, w.Fault, w.From, w.To)
		c.Faults = addBar(c.Faults, w.Fault, newBar(w.From, w.To, end, "fault", "", full))
	}
	episodes := slices.SortedStableFunc(slices.Values(o.Episodes), func(a, b record.Interval) int {
		return strings.Compare(a.Service+" "+a.What, b.Service+" "+b.What)
	})
	for _, i := range episodes {
		full := fmt.Sprintf("%s %s: %s, %.1f s to %.1f s", i.Service, i.What, i.State, i.From, i.To)
		class := cmp.Or(stateClasses[i.State], "silent")
		c.Services = addBar(c.Services, i.Service+" "+i.What, newBar(i.From, i.To, end, class, i.State, full))
	}
	step := niceStep(end, 8)
	for at := 0.0; at <= end*(1+1e-9); at += step {
		c.Ticks = append(c.Ticks, tick{round(100 * at / end), fmt.Sprintf("%.4g s", at)})
	}
	return c
}

func newBar(from, to, end float64, class, state, full string) bar {
	return bar{round(100 * from / end), round(100 * max(to-from, 0) / end), class, state, full}
}

func addBar(lanes []lane, name string, b bar) []lane {
	i := slices.IndexFunc(lanes, func(l lane) bool { return l.Name == name })
	if i < 0 {
		i, lanes = len(lanes), append(lanes, lane{Name: name})
	}
	lanes[i].Bars = append(lanes[i].Bars, b)
	return lanes
}

// stateClasses are the patterns of the states, which tell them apart without colour. All others are silent.
var stateClasses = map[string]string{
	"open": "out", "unavailable": "out", "half-open": "half", "degraded": "half", "draining": "leaving",
}

// rates stacks the answers per second. The areas are painted over one another: the whole stack first.
func rates(points []point, end float64) plot {
	p := plot{Title: "Answers per second"}
	heights, most := make([]float64, len(points)), 0.0
	for i := range points {
		b := &points[i]
		heights[i] = b.rate(b.Accepted + b.Refused + b.Unknown)
		most = max(most, heights[i])
	}
	y := p.axis(most)
	for _, kind := range []struct {
		class, name string
		of          func(*point) int
	}{
		{"unknown", "no answer", func(p *point) int { return p.Unknown }},
		{"refused", "refused", func(p *point) int { return p.Refused }},
		{"accepted", "accepted", func(p *point) int { return p.Accepted }},
	} {
		total, d := 0, "M0 100"
		for i := range points {
			b, n := &points[i], kind.of(&points[i])
			high := y(heights[i])
			d += "L" + num(1000*b.From/end) + " " + high + "L" + num(1000*b.At/end) + " " + high
			heights[i] -= b.rate(n)
			total += n
		}
		if total > 0 {
			p.Paths = append(p.Paths, path{"area " + kind.class, d + "V100Z"})
			p.Key = append(p.Key, keyEntry{"area " + kind.class, kind.name, ballot.Digits(total), true})
		}
	}
	return p
}

// series is a line of a plot.
type series struct {
	class, name string
	of          func(*point) *int64
}

// lines draws counts. Those of the votes are one line while all is well.
func lines(title string, points []point, end float64, all ...series) plot {
	p := plot{Title: title}
	most := int64(0)
	for _, s := range all {
		most = max(most, highest(points, s.of))
	}
	y := p.axis(float64(most))
	for _, s := range all {
		key := keyEntry{Class: s.class, Name: s.name, Value: "could not be read"}
		if d, last := line(points, s.of, end, y); last != nil {
			key.Value = ballot.Digits(*last)
			p.Paths = append(p.Paths, path{s.class, d})
		}
		p.Key = append(p.Key, key)
	}
	if len(all) == 1 {
		p.Key = append(p.Key, keyEntry{Name: "at most", Value: ballot.Digits(most)})
	}
	return p
}

func highest(points []point, of func(*point) *int64) (most int64) {
	for i := range points {
		if n := of(&points[i]); n != nil {
			most = max(most, *n)
		}
	}
	return most
}

// line draws a line with a gap wherever there is no number, and returns the last number.
func line(points []point, of func(*point) *int64, end float64, y func(float64) string) (d string, last *int64) {
	down := false
	for i := range points {
		n := of(&points[i])
		if n == nil {
			down = false
			continue
		}
		at := num(1000*points[i].At/end) + " " + y(float64(*n))
		if down {
			d += "L" + at
		} else {
			d += "M" + at + "h0" // round caps make a dot of a point without neighbours
		}
		down, last = true, n
	}
	return d, last
}

// axis sets the plot's ticks and returns its scale, from a number to its place in the viewBox.
func (p *plot) axis(most float64) func(float64) string {
	step := max(niceStep(most, 3), 1)
	top := max(math.Ceil(most/step-1e-9), 1) * step
	for v := 0.0; v <= top*(1+1e-9); v += step {
		p.Ticks = append(p.Ticks, tick{round(100 - 100*v/top), label(v)})
	}
	return func(v float64) string { return num(100 - 100*min(max(v/top, 0), 1)) }
}

// niceStep is the smallest of 1, 2, 5 times a power of ten that divides most into at most parts.
func niceStep(most float64, parts int) float64 {
	if most <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most/float64(parts))))
	for _, n := range []float64{1, 2, 5} {
		if n*power*float64(parts) >= most*(1-1e-9) {
			return n * power
		}
	}
	return 10 * power
}

// label is 9,500 or 12k or 1,500k.
func label(v float64) string {
	if v >= 1e4 {
		return ballot.Digits(int(v/1e3)) + "k"
	}
	return ballot.Digits(int(v))
}

func round(v float64) float64 { return math.Round(v*100) / 100 }

func num(v float64) string { return strconv.FormatFloat(round(v), 'f', -1, 64) }
