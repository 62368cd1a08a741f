package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestWhatCouldNotBeAskedIsAGapAndNotZero(t *testing.T) {
	x, y := scale{4, 0, 400}, scale{100, 100, 0}
	of := func(m *moment) *int64 { return m.Stored }
	for name, c := range map[string]struct {
		values []*int64
		want   string
	}{
		"between":   {[]*int64{new(int64(10)), nil, nil, new(int64(40))}, "M100 90h0L100 90M400 60h0L400 60"},
		"at first":  {[]*int64{nil, nil, new(int64(30)), new(int64(40))}, "M300 70h0L300 70L400 60"},
		"at last":   {[]*int64{new(int64(10)), new(int64(20)), nil, nil}, "M100 90h0L100 90L200 80"},
		"zero":      {[]*int64{new(int64(10)), new(int64(0)), nil, nil}, "M100 90h0L100 90L200 100"},
		"all along": {make([]*int64, 4), ""},
	} {
		var timeline []moment
		for i, v := range c.values {
			timeline = append(timeline, moment{At: float64(i + 1), Stored: v})
		}
		path, last := lineOf(timeline, of, x, y)
		if path != c.want || (last == nil) != (c.want == "") {
			t.Errorf("%s: %s, last %v", name, path, last)
		}
	}
	o := outcome{Timeline: []moment{{At: 1, Total: 3, Accepted: 3}, {At: 2, Total: 5, Accepted: 2}}}
	var said []string
	for _, p := range newChart(&o, frames[0]).Panels {
		for _, l := range p.Labels {
			said = append(said, l.Text)
		}
	}
	if got := strings.Join(said, ", "); got != "accepted 5, accepted 5, could not be asked" {
		t.Error(got)
	}
}

func TestAPeakBetweenTwoPointsOfTheDrawingIsKept(t *testing.T) {
	var timeline []moment
	for i := range 1000 {
		timeline = append(timeline, moment{At: float64(i+1) / 10, Queue: new(int64(1))})
	}
	timeline[503].Queue = new(int64(90))
	path, _ := lineOf(timeline, func(m *moment) *int64 { return m.Queue }, scale{100, 0, 200}, scale{100, 100, 0})
	if !strings.Contains(path, " 10L") || strings.Count(path, "L") > 210 {
		t.Errorf("%d points: %s", strings.Count(path, "L"), path)
	}
}

func TestNoAnswerIsLostOrCountedTwiceInTheBins(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var timeline []moment
		var at float64
		var want [3]int
		for range random.IntN(60) {
			at += 0.05 + random.Float64()
			m := moment{At: at, Accepted: random.IntN(9), Refused: random.IntN(9), Unknown: random.IntN(9)}
			want[0], want[1], want[2] = want[0]+m.Accepted, want[1]+m.Refused, want[2]+m.Unknown
			timeline = append(timeline, m)
		}
		var got [3]int
		from := 0.0
		for i, b := range bins(timeline, 2) {
			got[0], got[1], got[2] = got[0]+b.Accepted, got[1]+b.Refused, got[2]+b.Unknown
			if b.from != from || b.to <= b.from || i > 0 && b.to-b.from < 1 {
				t.Fatalf("a bin from %v to %v after %v", b.from, b.to, from)
			}
			from = b.to
		}
		if got != want || from != at {
			t.Fatalf("%v of %v until %v of %v", got, want, from, at)
		}
	}
}

// box is where a text of a chart is.
type box struct {
	text                     string
	left, right, top, bottom px
}

// texts gives the boxes of all texts of a chart but for the numbers of its axes.
func (c *chart) texts() []box {
	var found []box
	add := func(text string, x, baseline px) {
		found = append(found, box{text, x, x + textWidth(text, c.Font), baseline - c.Font*0.9, baseline + c.Font*0.25})
	}
	for _, f := range c.Faults {
		add(f.Text, f.TextAt, f.TextY)
	}
	for _, p := range c.Panels {
		add(p.Title, c.Left, p.Top-8)
		for _, l := range p.Labels {
			add(l.Text, c.Right+24, l.Y+c.Font*0.32)
		}
	}
	for _, l := range c.Lanes {
		add(l.Service, c.Right+6, l.Service1)
		add(l.What, c.Right+6, l.What1)
		for _, s := range l.Spells {
			if s.State != "" {
				add(s.State, s.From, l.TextY)
			}
		}
	}
	return found
}

func TestLabelsNeverTouchHoweverManyFaultsThereAre(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 60 {
		o := outcome{Name: "many", Seconds: 10 + 140*random.Float64()}
		for i := range 1 + random.IntN(40) {
			from := o.Seconds * random.Float64()
			o.Wounds = append(o.Wounds, wound{Fault: strings.Repeat("cut the network of postgres ", 1+i%4), From: from, To: from + 20*random.Float64()*random.Float64()})
			o.Episodes = append(o.Episodes, spell{"worker", fmt.Sprint("breaker ", i%3), "half-open", from, from + random.Float64()})
		}
		o.Wounds[0].To = 0 // never undone
		for at := 1.0; at <= o.Seconds; at++ {
			n := int64(at) * 100
			o.Timeline = append(o.Timeline, moment{At: at, Accepted: 100, Refused: 1, Unknown: 1, Total: int(n), Stored: new(n - 1), OnScreen: new(n - 2), Queue: new(int64(1))})
		}
		for _, f := range frames {
			c := newChart(&o, f)
			texts := c.texts()
			for i, a := range texts {
				if a.left < 0 || a.right > c.Width || a.top < 0 || a.bottom > c.Height {
					t.Errorf("round %d, %s: %q leaves the drawing: %+v", round, f.size, a.text, a)
				}
				for _, b := range texts[i+1:] {
					if a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom {
						t.Fatalf("round %d, %s: %+v touches %+v", round, f.size, a, b)
					}
				}
			}
		}
	}
}

func TestAScenarioInWhichNothingHappenedCanBeDrawn(t *testing.T) {
	for _, o := range []outcome{{}, {Seconds: 10}, {Wounds: []wound{{}}}, {Timeline: []moment{{At: 0}}}, {Timeline: []moment{{At: 0.25, Accepted: 1, Total: 1}}}} {
		_, page := written(t, &record{Scenarios: []outcome{o}})
		elements(t, page)
		if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
			t.Errorf("%+v: a place that is none", o)
		}
	}
}

func TestAxesHaveRoundNumbers(t *testing.T) {
	for _, c := range []struct {
		most  float64
		parts int
		want  float64
	}{{10, 16, 1}, {150, 16, 10}, {150, 4, 50}, {120, 8, 20}, {0.9, 3, 0.5}, {3, 3, 1}, {3.01, 3, 2}, {48211, 3, 20000}, {0, 3, 1}, {5, 0, 1}} {
		if got := niceStep(c.most, c.parts); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v in %d parts: %v", c.most, c.parts, got)
		}
	}
}
