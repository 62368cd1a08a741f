package main

import (
	"math"

	"petvote/shared/ballot"
)

// bin is some steps of the timeline together, each wide enough to be seen.
type bin struct {
	from, to float64
	moment   // its counts are the bin's; the rest is how things stood at its end
}

func (b *bin) rate(n int) float64 { return float64(n) / (b.to - b.from) }

// bins joins steps until each bin is as wide as narrowest. What is left at the end joins the bin before, for a few votes in an
// instant would look like a rush.
func bins(timeline []moment, narrowest float64) []bin {
	var joined []bin
	var b bin
	for i, m := range timeline {
		m.Accepted, m.Refused, m.Unknown = m.Accepted+b.Accepted, m.Refused+b.Refused, m.Unknown+b.Unknown
		b.moment, b.to = m, m.At
		switch width := b.to - b.from; {
		case width >= narrowest*(1-1e-9) && width > 0:
			joined, b = append(joined, b), bin{from: b.to}
		case i == len(timeline)-1 && len(joined) > 0 && width < narrowest/2:
			last := &joined[len(joined)-1]
			b.Accepted, b.Refused, b.Unknown = b.Accepted+last.Accepted, b.Refused+last.Refused, b.Unknown+last.Unknown
			last.moment, last.to = b.moment, b.to
		case i == len(timeline)-1 && width > 0:
			joined = append(joined, b)
		}
	}
	return joined
}

// narrowestBin is the time that four units of a chart show, rounded up to a step that people count in.
func narrowestBin(end float64, width px) float64 {
	return niceStep(end, max(int(math.Floor(float64(width/4))), 1))
}

// answerKinds are what a vote can be answered, from the bottom of the stack to its top.
var answerKinds = []struct {
	class, name string
	of          func(*moment) int
}{
	{"accepted", "accepted", func(m *moment) int { return m.Accepted }},
	{"refused", "refused", func(m *moment) int { return m.Refused }},
	{"unknown", "no answer", func(m *moment) int { return m.Unknown }},
}

// ratesPanel stacks what was answered each second.
func ratesPanel(o *outcome, x scale, f frame, top, bottom px) panel {
	p := panel{Title: "Answers per second", Top: top, Bottom: bottom}
	steps := bins(o.Timeline, narrowestBin(x.most, x.to-x.from))
	most := 0.0
	for i := range steps {
		b := &steps[i]
		most = max(most, b.rate(b.Accepted+b.Refused+b.Unknown))
	}
	y := p.axis(most)
	under := make([]float64, len(steps))
	total := make([]int, len(answerKinds))
	for k, kind := range answerKinds {
		var area pathOf
		for from := 0; from < len(steps); from++ {
			// A run of steps with such answers is one area: along its upper edge, and back along the lower one.
			till := from
			for till < len(steps) && kind.of(&steps[till].moment) > 0 {
				till++
			}
			if till == from {
				continue
			}
			area.gap()
			for i := from; i < till; i++ {
				b, high := &steps[i], y.at(under[i]+steps[i].rate(kind.of(&steps[i].moment)))
				area.to(x.at(b.from), high)
				area.to(x.at(b.to), high)
			}
			for i := till - 1; i >= from; i-- {
				area.to(x.at(steps[i].to), y.at(under[i]))
				area.to(x.at(steps[i].from), y.at(under[i]))
			}
			area.b.WriteString("Z")
			from = till - 1
		}
		for i := range steps {
			n := kind.of(&steps[i].moment)
			under[i] += steps[i].rate(n)
			total[k] += n
		}
		if area.b.Len() > 0 {
			p.Drawings = append(p.Drawings, drawing{"area " + kind.class, area.b.String()})
		}
	}
	at := top + 10
	for k := len(answerKinds) - 1; k >= 0; k-- {
		if total[k] > 0 || k == 0 {
			p.Labels = append(p.Labels, label{Y: at, Class: "swatch " + answerKinds[k].class, Text: named(answerKinds[k].name, total[k], f), Swatch: at - 6})
			at += labelSpace + 6
		}
	}
	return p
}

// countsPanel shows how votes become stored and shown: as long as all is well the three lines are one.
func countsPanel(o *outcome, x scale, f frame, top, bottom px) panel {
	p := panel{Title: "Votes since the start", Top: top, Bottom: bottom}
	lines := []struct {
		class, name string
		of          func(*moment) *int64
	}{
		{"line accepted", "accepted", func(m *moment) *int64 { n := int64(m.Total); return &n }},
		{"line stored", "stored", func(m *moment) *int64 { return m.Stored }},
		{"line screen", "on screen", func(m *moment) *int64 { return m.OnScreen }},
	}
	most := 0.0
	for _, l := range lines {
		for i := range o.Timeline {
			if n := l.of(&o.Timeline[i]); n != nil {
				most = max(most, float64(*n))
			}
		}
	}
	y := p.axis(most)
	var ends []px
	for _, l := range lines {
		path, last := lineOf(o.Timeline, l.of, x, y)
		if last == nil {
			continue
		}
		n := *l.of(last)
		p.Drawings = append(p.Drawings, drawing{l.class, path})
		p.Labels = append(p.Labels, label{Class: l.class, Text: named(l.name, int(n), f), Lead: "M" + x.at(last.At).String() + " " + y.at(float64(n)).String()})
		ends = append(ends, y.at(float64(n)))
	}
	for i, at := range spread(ends, labelSpace, top+4, bottom-2) {
		l := &p.Labels[i]
		l.Y = at
		l.Lead += "L" + (x.to + 6).String() + " " + at.String()
		l.Sample = "M" + (x.to + 6).String() + " " + at.String() + "h14"
	}
	return p
}

// waitingPanel shows the queue.
func waitingPanel(o *outcome, x scale, f frame, top, bottom px) panel {
	p := panel{Title: "Votes waiting in the queue", Top: top, Bottom: bottom}
	queue := func(m *moment) *int64 { return m.Queue }
	most := int64(0)
	for _, m := range o.Timeline {
		if m.Queue != nil {
			most = max(most, *m.Queue)
		}
	}
	y := p.axis(float64(most))
	path, last := lineOf(o.Timeline, queue, x, y)
	if last == nil {
		p.Labels = []label{{Y: (top + bottom) / 2, Text: "could not be asked"}}
		return p
	}
	p.Drawings = []drawing{{"line queue", path}}
	p.Labels = []label{{Y: top + 10, Text: "at most " + ballot.Digits(most)}, {Y: top + 10 + labelSpace, Text: "in the end " + ballot.Digits(*last.Queue)}}
	return p
}

// lineOf draws a line with a gap wherever there is no number, and gives the last moment that has one.
func lineOf(timeline []moment, of func(*moment) *int64, x, y scale) (path string, last *moment) {
	var line pathOf
	var drawn px
	var skipped *int64 // the largest number since the last point that was drawn
	for i := range timeline {
		m := &timeline[i]
		n := of(m)
		if n == nil {
			line.gap()
			skipped = nil
			continue
		}
		last = m
		if skipped == nil || *n > *skipped {
			skipped = n
		}
		// Points nearer than one unit would make the page large and show nothing; their peak is kept.
		if final := i == len(timeline)-1 || of(&timeline[i+1]) == nil; line.down && x.at(m.At)-drawn < 1 && !final {
			continue
		}
		drawn = x.at(m.At)
		if line.down && *skipped > *n {
			line.to(drawn, y.at(float64(*skipped)))
		}
		line.to(drawn, y.at(float64(*n)))
		skipped = nil
	}
	return line.b.String(), last
}

// axis rounds the top of a chart's scale and marks some numbers on it.
func (p *panel) axis(most float64) scale {
	step := max(niceStep(most, 3), 1)
	top := max(math.Ceil(most/step-1e-9), 1) * step
	y := scale{top, p.Bottom, p.Top}
	for v := 0.0; v <= top*(1+1e-9); v += step {
		p.Ticks = append(p.Ticks, tick{y.at(v), short(v)})
	}
	return y
}

func named(name string, n int, f frame) string {
	if !f.numbers {
		return name
	}
	return name + " " + ballot.Digits(n)
}
