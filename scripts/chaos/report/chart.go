package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"petvote/scripts/chaos/record"
	"petvote/shared/ballot"
)

// chart is a scenario's timeline: rows that share one time axis. Each plot is an SVG with the viewBox 0 0 1000 100
// that CSS stretches to the width of its row. All texts are HTML beside it, so that they keep their size.
type chart struct {
	Faults, Services rows
	States           map[string]bar // one of each, for the key
	Plots            []plot
	Ticks            []tick  // of the time axis
	End              float64 // of the time axis, in seconds
}

// rows are bars by name, in the order in which the names first occurred.
type rows []row

type row struct {
	Name string
	Bars []bar
}

func (r *rows) add(name string, b bar) {
	i := slices.IndexFunc(*r, func(one row) bool { return one.Name == name })
	if i < 0 {
		i, *r = len(*r), append(*r, row{Name: name})
	}
	(*r)[i].Bars = append((*r)[i].Bars, b)
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

// bar is a stretch of the time axis, in percent.
type bar struct {
	Left, Width        float64
	Class, State, Full string
}

func newChart(o *record.Outcome) *chart {
	end := max(o.Seconds, 1)
	if n := len(o.Timeline); n > 0 {
		end = max(end, o.Timeline[n-1].At)
	}
	c := &chart{End: end, Plots: []plot{rates(o.Timeline, end),
		lines("Votes since the start", o.Timeline, end,
			series{"line accepted", "accepted", func(s record.Sample) *int64 { return new(int64(s.Total)) }},
			series{"line stored", "stored", func(s record.Sample) *int64 { return s.Stored }},
			series{"line screen", "on screen", func(s record.Sample) *int64 { return s.OnScreen }}),
		lines("Votes in the queue", o.Timeline, end,
			series{"line queue", "at the end", func(s record.Sample) *int64 { return s.Queue }}),
	}, States: make(map[string]bar)}
	for i, w := range o.Faults {
		full := fmt.Sprintf("%d %s, %.1f s to %.1f s", i+1, w.Fault, w.From, w.To)
		c.Faults.add(w.Fault, newBar(w.From, w.To, end, "fault", "", full))
	}
	for _, i := range o.Episodes {
		name := i.Service + " " + i.What
		full := fmt.Sprintf("%s: %s, %.1f s to %.1f s", name, i.State, i.From, i.To)
		b := newBar(i.From, i.To, end, cmp.Or(stateClasses[i.State], "silent"), i.State, full)
		c.Services.add(name, b)
		c.States[i.State] = b
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

// stateClasses are the patterns of the states, which tell them apart without colour. All others are silent.
var stateClasses = map[string]string{
	"open": "out", "unavailable": "out", "half-open": "half", "degraded": "half", "failing": "half", "draining": "leaving",
}

// rates stacks the answers per second. The areas are painted over one another: the whole stack first.
func rates(timeline []record.Sample, end float64) plot {
	p := plot{Title: "Answers per second"}
	heights, most := make([]int, len(timeline)), 0
	for i, s := range timeline {
		heights[i] = s.Accepted + s.Refused + s.Unknown
		most = max(most, heights[i])
	}
	step := 1.0
	if len(timeline) > 0 {
		step = timeline[0].At
	}
	y := p.axis(float64(most) / step)
	for _, kind := range []struct {
		class, name string
		of          func(record.Sample) int
	}{
		{"unknown", "no answer", func(s record.Sample) int { return s.Unknown }},
		{"refused", "refused", func(s record.Sample) int { return s.Refused }},
		{"accepted", "accepted", func(s record.Sample) int { return s.Accepted }},
	} {
		total, d := 0, "M0 100"
		for i, s := range timeline {
			high := y(float64(heights[i]) / step)
			d += "L" + num(1000*(s.At-step)/end) + " " + high + "L" + num(1000*s.At/end) + " " + high
			heights[i] -= kind.of(s)
			total += kind.of(s)
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
	of          func(record.Sample) *int64
}

// lines draws counts. Those of the votes are one line while all is well.
func lines(title string, timeline []record.Sample, end float64, all ...series) plot {
	p, most := plot{Title: title}, int64(0)
	for _, one := range all {
		for _, s := range timeline {
			if n := one.of(s); n != nil {
				most = max(most, *n)
			}
		}
	}
	y := p.axis(float64(most))
	for _, one := range all {
		key := keyEntry{Class: one.class, Name: one.name, Value: "could not be read"}
		if d, last := line(timeline, one.of, end, y); last != nil {
			key.Value = ballot.Digits(*last)
			p.Paths = append(p.Paths, path{one.class, d})
		}
		p.Key = append(p.Key, key)
	}
	if len(all) == 1 {
		p.Key = append(p.Key, keyEntry{Name: "at most", Value: ballot.Digits(most)})
	}
	return p
}

// line draws a line with a gap wherever there is no number, and returns the last number.
func line(
	timeline []record.Sample, of func(record.Sample) *int64, end float64, y func(float64) string,
) (d string, last *int64) {
	pen := "M"
	for _, s := range timeline {
		n := of(s)
		if n == nil {
			pen = "M"
			continue
		}
		d += pen + num(1000*s.At/end) + " " + y(float64(*n))
		if pen == "M" {
			d += "h0" // round caps make a dot of a point without neighbours
		}
		pen, last = "L", n
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
