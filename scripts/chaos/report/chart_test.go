package report

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"petvote/scripts/chaos/record"
)

func TestACountThatCouldNotBeReadIsAGapAndNotZero(t *testing.T) {
	for name, c := range map[string]struct {
		values []*int64
		want   string
	}{
		"between":   {[]*int64{new(int64(10)), nil, nil, new(int64(40))}, "M250 90h0M1000 60h0"},
		"at first":  {[]*int64{nil, nil, new(int64(30)), new(int64(40))}, "M750 70h0L1000 60"},
		"at last":   {[]*int64{new(int64(10)), new(int64(20)), nil, nil}, "M250 90h0L500 80"},
		"zero":      {[]*int64{new(int64(10)), new(int64(0)), nil, nil}, "M250 90h0L500 100"},
		"all along": {make([]*int64, 4), ""},
	} {
		var timeline []record.Sample
		for i, v := range c.values {
			timeline = append(timeline, record.Sample{At: float64(i + 1), Stored: v})
		}
		stored, y := func(p *point) *int64 { return p.Stored }, func(v float64) string { return num(100 - v) }
		d, last := line(pointsOf(timeline), stored, 4, y)
		if d != c.want || (last == nil) != (c.want == "") {
			t.Errorf("%s: %s, last %v", name, d, last)
		}
	}
	o := record.Outcome{Timeline: []record.Sample{{At: 1, Total: 3, Accepted: 3}, {At: 2, Total: 5, Accepted: 2}}}
	var said []string
	for _, p := range newChart(&o).Plots {
		for _, k := range p.Key {
			said = append(said, strings.TrimSpace(k.Name+" "+k.Value))
		}
	}
	if got := strings.Join(said,
		", "); got != "accepted 5, accepted 5, stored could not be read, on screen could not be read, "+
		"at the end could not be read, at most 0" {
		t.Error(got)
	}
}

func TestPointsKeepEveryAnswerAndEveryPeak(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, length := range []int{0, 1, 249, 250, 251, 1000, 14_400} {
		var timeline []record.Sample
		var want [3]int
		for i := range length {
			s := record.Sample{At: float64(i+1) / 4, Queue: new(int64(1)),
				Accepted: random.IntN(9), Refused: random.IntN(9), Unknown: random.IntN(9)}
			want[0], want[1], want[2] = want[0]+s.Accepted, want[1]+s.Refused, want[2]+s.Unknown
			timeline = append(timeline, s)
		}
		if length > 0 {
			timeline[length/3].Queue = new(int64(90))
		}
		var got [3]int
		points, from := pointsOf(timeline), 0.0
		for _, p := range points {
			got[0], got[1], got[2] = got[0]+p.Accepted, got[1]+p.Refused, got[2]+p.Unknown
			if p.From != from || p.At <= p.From {
				t.Fatalf("a point from %v to %v after %v", p.From, p.At, from)
			}
			from = p.At
		}
		peak := highest(points, func(p *point) *int64 { return p.Queue })
		if got != want || from != float64(length)/4 || len(points) > mostPoints || length > 0 && peak != 90 {
			t.Errorf("%d samples: %v of %v in %d points until %v, peak %d", length, got, want, len(points), from, peak)
		}
	}
}

func TestAxesHaveRoundNumbers(t *testing.T) {
	for _, c := range []struct {
		most  float64
		parts int
		want  float64
	}{{10, 16, 1}, {150, 16, 10}, {150, 4, 50}, {120, 8, 20}, {0.9, 3, 0.5}, {3, 3, 1}, {3.01, 3, 2}, {48211, 3, 20000},
		{0, 3, 1}} {
		if got := niceStep(c.most, c.parts); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v in %d parts: %v", c.most, c.parts, got)
		}
	}
}
