package main

import (
	"fmt"
	"slices"
	"strings"
)

// chart is a scenario's timeline, drawn for one width: rows of faults above small charts that share the time axis. The page holds
// it in three widths, because a drawing that is only scaled has letters too small for a phone or too large for a projector.
type chart struct {
	Size                               string // wide, medium or narrow
	Width, Height, Font                px
	Left, Right, Top, Bottom, TickText px
	End                                float64 // of the time axis, in seconds
	Faults                             []faultMark
	Panels                             []panel
	Lanes                              []lane
	Seconds                            []tick
}

// frame is what a width allows: the margins hold the numbers of the axis to the left and the labels of the lines to the right.
type frame struct {
	size                     string
	width, left, right, font px
	ticks                    int
	numbers                  bool // whether the labels have room for them
}

var frames = []frame{
	{size: "wide", width: 1040, left: 46, right: 164, font: 12, ticks: 16, numbers: true},
	{size: "medium", width: 680, left: 46, right: 150, font: 12, ticks: 8, numbers: true},
	{size: "narrow", width: 330, left: 42, right: 120, font: 11, ticks: 4},
}

type tick struct {
	At   px
	Text string
}

type drawing struct{ Class, Path string }

// label stands at the right of a chart, led to from the place that it names.
type label struct {
	Y           px
	Class, Text string
	Lead        string // path from the place that it names
	Sample      string // path of a piece of its line; empty: a swatch stands for it
	Swatch      px     // its top
}

type panel struct {
	Title       string
	Top, Bottom px
	Ticks       []tick
	Drawings    []drawing
	Labels      []label
}

type faultMark struct {
	Number              int
	From, Width         px
	TextAt, TextY, BarY px
	Text, Full          string
}

type lane struct {
	Service, What      string
	Top, Middle, TextY px
	Service1, What1    px // baselines of its names
	Spells             []spellMark
}

type spellMark struct {
	From, Width, BarY px
	Class, State      string // State is empty where it would touch another
	Full              string
}

const (
	titleRoom   = px(22) // above a small chart, for its title
	panelSpace  = px(14) // below it
	faultRoom   = px(24) // of a row of faults
	laneRoom    = px(36)
	ratePanel   = px(96)
	votesPanel  = px(116)
	queuePanel  = px(64)
	barHeight   = px(10)
	labelSpace  = px(16) // between the baselines of two labels
	shortestBar = px(2)
)

func newChart(o *outcome, f frame) *chart {
	c := &chart{Size: f.size, Width: f.width, Font: f.font, Left: f.left, Right: f.width - f.right, End: o.timelineEnd()}
	x := scale{c.End, c.Left, c.Right}

	y := c.layFaults(o, x, f) + 6
	c.Top = y
	for _, add := range []struct {
		height px
		draw   func(*outcome, scale, frame, px, px) panel
	}{{ratePanel, ratesPanel}, {votesPanel, countsPanel}, {queuePanel, waitingPanel}} {
		y += titleRoom
		c.Panels = append(c.Panels, add.draw(o, x, f, y, y+add.height))
		y += add.height + panelSpace
	}
	y = c.layLanes(o, x, f, y)
	c.Bottom = y
	c.TickText = y + f.font + 6
	c.Height = c.TickText + 8

	step := niceStep(c.End, f.ticks)
	for n := 0; float64(n)*step <= c.End*(1+1e-9); n++ {
		at := float64(n) * step
		c.Seconds = append(c.Seconds, tick{x.at(at), fmt.Sprintf("%.4g s", at)})
	}
	return c
}

// timelineEnd is when the last thing of the timeline was seen. An axis needs a length even if nothing was.
func (o *outcome) timelineEnd() float64 {
	end := o.Seconds
	for _, m := range o.Timeline {
		end = max(end, m.At)
	}
	for _, w := range o.Wounds {
		end = max(end, w.From, w.To)
	}
	for _, s := range o.Episodes {
		end = max(end, s.From, s.To)
	}
	if end <= 0 {
		return 1
	}
	return end
}

// layFaults puts the faults' names in rows above the charts, so that none covers another, and gives the lower end of the rows.
func (c *chart) layFaults(o *outcome, x scale, f frame) px {
	spans := make([]span, len(o.Wounds))
	for i, w := range o.Wounds {
		to := w.To
		if to < w.From { // never undone
			to = c.End
		}
		m := faultMark{Number: i + 1, From: x.at(w.From), Full: fmt.Sprintf("%d %s, %.1f s to %.1f s", i+1, w.Fault, w.From, to)}
		m.Width = max(x.at(to)-m.From, shortestBar)
		m.Text = fitting(fmt.Sprintf("%d %s", i+1, w.Fault), f.font, f.width-16)
		need := textWidth(m.Text, f.font)
		m.TextAt = max(min(m.From, f.width-need-4), 4)
		spans[i] = span{min(m.From, m.TextAt), max(m.From+m.Width, m.TextAt+need)}
		c.Faults = append(c.Faults, m)
	}
	row, count := inRows(spans, 8)
	for i := range c.Faults {
		// The first row is the lowest, next to what it explains.
		top := px(4) + px(count-1-row[i])*faultRoom
		c.Faults[i].TextY, c.Faults[i].BarY = top+f.font, top+f.font+4
	}
	return px(4) + px(count)*faultRoom
}

// layLanes gives each part that said something a lane of its own, with the spells' states above them where there is room.
func (c *chart) layLanes(o *outcome, x scale, f frame, y px) px {
	if len(o.Episodes) == 0 {
		return y
	}
	y += titleRoom
	spells := slices.Clone(o.Episodes)
	slices.SortStableFunc(spells, func(a, b spell) int { return strings.Compare(a.Service+"\x00"+a.What, b.Service+"\x00"+b.What) })
	var free px // where the lane's next text can begin
	for i, s := range spells {
		if i == 0 || s.Service != spells[i-1].Service || s.What != spells[i-1].What {
			c.Lanes = append(c.Lanes, lane{
				Service: fitting(s.Service, f.font, f.right-8), What: fitting(s.What, f.font, f.right-8), Top: y, Middle: y + 23,
				Service1: y + f.font, What1: y + f.font*2 + 3, TextY: y + f.font,
			})
			y += laneRoom
			free = c.Left
		}
		l := &c.Lanes[len(c.Lanes)-1]
		to := s.To
		if to < s.From {
			to = c.End
		}
		m := spellMark{From: x.at(s.From), BarY: l.Middle - barHeight/2, Class: stateClass(s.State), Full: fmt.Sprintf("%s %s: %s, %.1f s to %.1f s", s.Service, s.What, s.State, s.From, to)}
		m.Width = max(x.at(to)-m.From, shortestBar)
		if need := textWidth(s.State, f.font-1); m.From >= free && m.From+need <= c.Right {
			m.State, free = s.State, m.From+need+6
		}
		l.Spells = append(l.Spells, m)
	}
	return y + 4
}

// stateClass names the pattern of a state, which tells states apart without colour.
func stateClass(state string) string {
	switch state {
	case "open", "unavailable":
		return "is-out"
	case "half-open", "degraded":
		return "is-half"
	case "draining":
		return "is-leaving"
	}
	return "is-silent"
}
