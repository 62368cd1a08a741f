package report

import (
	"math"
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
		stored, y := func(s record.Sample) *int64 { return s.Stored }, func(v float64) string { return num(100 - v) }
		d, last := line(timeline, stored, 4, y)
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
	const want = "accepted 5, accepted 5, stored could not be read, on screen could not be read, " +
		"at the end could not be read, at most 0"
	if got := strings.Join(said, ", "); got != want {
		t.Error(got)
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
