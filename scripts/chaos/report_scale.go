package main

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// px is a length or a place in a drawing, in units of its viewBox, written with a tenth.
type px float64

func (p px) String() string {
	return strings.TrimSuffix(strconv.FormatFloat(float64(p), 'f', 1, 64), ".0")
}

// scale leads values from 0 to most onto the way between two places.
type scale struct {
	most     float64
	from, to px
}

func (s scale) at(v float64) px {
	if s.most <= 0 {
		return s.from
	}
	return s.from + (s.to-s.from)*px(min(max(v/s.most, 0), 1))
}

// niceStep is the smallest of 1, 2, 5 times a power of ten that divides most into at most parts.
func niceStep(most float64, parts int) float64 {
	if most <= 0 || parts < 1 {
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

// pathOf draws lines through points that belong together; a nil run of them is a gap, never a line across it.
type pathOf struct {
	b    strings.Builder
	down bool
}

func (p *pathOf) to(x, y px) {
	if !p.down {
		// A point without neighbours is still seen: round caps make a dot of a line without length.
		p.b.WriteString("M" + x.String() + " " + y.String() + "h0")
	}
	p.down = true
	p.b.WriteString("L" + x.String() + " " + y.String())
}

func (p *pathOf) gap() { p.down = false }

// spread moves places that are nearer to each other than gap apart, keeps their order and stays between top and bottom if it can.
// Equal places keep the order they came in.
func spread(places []px, gap, top, bottom px) []px {
	order := make([]int, len(places))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(places[a], places[b]) })
	moved := slices.Clone(places)
	for n, i := range order {
		moved[i] = max(moved[i], top)
		if n > 0 {
			moved[i] = max(moved[i], moved[order[n-1]]+gap)
		}
	}
	for n := len(order) - 1; n >= 0; n-- {
		limit := bottom
		if n < len(order)-1 {
			limit = moved[order[n+1]] - gap
		}
		moved[order[n]] = min(moved[order[n]], limit)
	}
	return moved
}

// span is a stretch of the time axis, or of the place a text needs on it.
type span struct{ from, to px }

// inRows puts spans into as few rows as they need so that none comes nearer than gap to another in its row, and says how many there are.
func inRows(spans []span, gap px) (row []int, count int) {
	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(spans[a].from, spans[b].from) })
	row = make([]int, len(spans))
	var ends []px
	for _, i := range order {
		n := slices.IndexFunc(ends, func(end px) bool { return end+gap <= spans[i].from })
		if n < 0 {
			n, ends = len(ends), append(ends, 0)
		}
		row[i], ends[n] = n, spans[i].to
	}
	return row, len(ends)
}

// textWidth is an upper estimate for the fonts that a page like this is shown in; DejaVu Sans is the widest of them.
func textWidth(s string, size px) px {
	width := 0.0
	for _, r := range s {
		switch {
		case strings.ContainsRune("iljtf.,:;'|! I()[]-", r):
			width += 0.4
		case strings.ContainsRune("mwMW@%—", r):
			width += 1
		case r >= 0x2e80:
			width += 1.05
		default:
			width += 0.66
		}
	}
	return px(width) * size
}

// fitting shortens a text to a width.
func fitting(s string, size, width px) string {
	if textWidth(s, size) <= width {
		return s
	}
	for s != "" && textWidth(s+"…", size) > width {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return strings.TrimSpace(s) + "…"
}
