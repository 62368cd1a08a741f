//go:build containers

package containertest

import (
	"cmp"
	"fmt"
	"html"
	"slices"
	"strings"
)

// The picture's measures, in pixels.
const (
	pictureWidth = 1100
	barsLeft     = 330
	barsRight    = 110
	rowHeight    = 40
	headHeight   = 50
)

var serviceColours = map[string]string{"browser": "#b4530a", "vote": "#6d3fc4", "worker": "#05704f",
	"result": "#1f4f8f"}

// picture draws a trace as bars over time, each span beneath its parent, for the README.
func (j trace) picture() string {
	begin, end := j.Spans[0].StartTime, int64(0)
	for _, s := range j.Spans {
		begin, end = min(begin, s.StartTime), max(end, s.StartTime+s.Duration)
	}
	x := func(at int64) float64 {
		return barsLeft + float64(pictureWidth-barsLeft-barsRight)*float64(at-begin)/float64(end-begin)
	}
	height := headHeight + rowHeight*len(j.Spans) + 20
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" `+
		`font-family="DejaVu Sans, Verdana, sans-serif" font-size="15"><rect width="%[1]d" height="%[2]d" fill="#faf7f1"/>`,
		pictureWidth, height)
	step := int64(1000)
	for (end-begin)/step > 8 {
		step *= 2
	}
	for at := begin; at <= end; at += step {
		fmt.Fprintf(&b, `<path d="M%.1f 40V%d" stroke="#e0dacd"/>`+
			`<text x="%[1]f" y="28" fill="#5d584d" text-anchor="middle" font-size="13">%[3]d ms</text>`,
			x(at), height-20, (at-begin)/1000)
	}
	row := 0
	var draw func(parent string, depth int)
	draw = func(parent string, depth int) {
		for _, s := range j.beneath(parent) {
			y := headHeight + rowHeight*row
			row++
			service := j.Processes[s.ProcessID].ServiceName
			colour := cmp.Or(serviceColours[service], "#5d584d")
			fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#1f1c17">%s</text>`+
				`<text x="%d" y="%[2]d" fill="%[5]s" text-anchor="end" font-weight="bold">%[6]s</text>`,
				16+22*depth, y+23, html.EscapeString(s.OperationName), barsLeft-16, colour, html.EscapeString(service))
			width := max(x(s.StartTime+s.Duration)-x(s.StartTime), 3)
			fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="24" rx="4" fill="%s"/>`+
				`<text x="%.1f" y="%d" fill="#5d584d" font-size="13">%.1f ms</text>`,
				x(s.StartTime), y+6, width, colour, x(s.StartTime)+width+6, y+23, float64(s.Duration)/1000)
			draw(s.SpanID, depth+1)
		}
	}
	draw("", 0)
	return b.String() + "</svg>\n"
}

// beneath are the spans whose parent is the one with an id, by their begin; with no id those without a parent.
func (j trace) beneath(id string) []span {
	found := slices.DeleteFunc(slices.Clone(j.Spans), func(s span) bool {
		parent := ""
		for _, r := range s.References {
			if r.RefType == "CHILD_OF" {
				parent = r.SpanID
			}
		}
		return parent != id
	})
	slices.SortFunc(found, func(a, b span) int { return cmp.Compare(a.StartTime, b.StartTime) })
	return found
}
