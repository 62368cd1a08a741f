package report

import (
	"strings"
	"testing"
	"unicode/utf8"

	"petvote/infra/ledger"
	"petvote/scripts/chaos/record"
)

func summary(r *record.Run) string {
	var b strings.Builder
	Summarise(&b, r)
	return b.String()
}

func TestTheHeadlineSaysTheWorstFirst(t *testing.T) {
	outcome := func(proof, recovery string, accepted, lost int, twice int64) record.Outcome {
		return record.Outcome{Verdict: record.Verdict{Proof: proof, Recovery: recovery},
			Proof: ledger.Proof{Accepted: accepted, Lost: lost, CountedTwice: twice}}
	}
	held, slow := outcome(record.Held, record.InTime, 2100, 0, 0), outcome(record.Held, record.Slow, 2100, 0, 0)
	broken := outcome(record.Refuted, record.InTime, 2110, 0, 0)
	losing := outcome(record.Refuted, record.InTime, 2110, 3, 0)
	doubling := outcome(record.Refuted, record.Slow, 2110, 0, 2)
	for _, c := range []struct {
		interrupted bool
		scenarios   []record.Outcome
		want        string
		tone        tone
	}{
		{false, []record.Outcome{held, held}, "Nothing was lost, nothing was counted twice", good},
		{false, []record.Outcome{held, slow},
			"Nothing was lost, nothing was counted twice; recovery was slow in 1 of 2 scenarios", warn},
		{false, []record.Outcome{slow, losing}, "3 of 4,210 accepted votes were lost", bad},
		{false, []record.Outcome{outcome(record.Refuted, record.InTime, 1, 1, 0)}, "1 of 1 accepted vote was lost", bad},
		{false, []record.Outcome{doubling}, "2 votes were counted twice", bad},
		{false, []record.Outcome{losing, doubling},
			"3 of 4,220 accepted votes were lost, and 2 votes were counted twice", bad},
		{false, []record.Outcome{held, broken},
			"No vote was lost or counted twice, but the proof was refuted in 1 of 2 scenarios", bad},
		{true, []record.Outcome{held}, "Interrupted: until then nothing was lost, nothing was counted twice", warn},
		{true, []record.Outcome{held, losing}, "3 of 4,210 accepted votes were lost", bad},
		{true, nil, "Interrupted before anything was tried", warn},
		{false, nil, "Nothing was proved", bad},
	} {
		r := &record.Run{Target: "local", Interrupted: c.interrupted, Scenarios: c.scenarios}
		r.Judge(nil)
		if got, want := headline(r), (heading{c.want, c.tone}); got != want {
			t.Errorf("%v, want %v", got, want)
		}
		_, page := written(t, r)
		if !strings.Contains(page, c.want+"</h1>") || !strings.Contains(page, `class="verdict `+string(c.tone)) {
			t.Errorf("the page does not say %s", c.want)
		}
		if said := summary(r); !strings.HasSuffix(said, "\nlocal: "+c.want+".\n") {
			t.Errorf("the terminal ends with %s", said)
		}
	}
}

func TestTheTerminalHasAnAlignedRowForEachScenarioAndTheReasons(t *testing.T) {
	r := exampleRun("naive")
	r.Scenarios[1].Name = strings.Repeat("überall ", 12)
	said := summary(r)
	for _, want := range []string{
		"\nkill-worker          refuted  in time      5,006        0        0    23      0  at once    448ms    860ms\n",
		"\nüberall überall übe  held     in time ",
		"\nkill-worker: the proof was refuted\n  23 accepted votes are lost\n  the books differ by 23\n",
		"\nkill-redis: recovery was slow (load average 12.3)\n  votes were accepted again 2.01 s after kill redis",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	rows := strings.Split(said, "\n")[:6]
	for _, row := range rows {
		if n := utf8.RuneCountInString(row); n > 110 || n != utf8.RuneCountInString(rows[0]) {
			t.Errorf("%d columns:\n%s\n%s", n, rows[0], row)
		}
	}
	const line = "kill-worker: proof refuted, recovery in time; 5,006 accepted, 23 lost, 0 twice; " +
		"again at once, drained 448ms, current 860ms"
	if got := Line(&r.Scenarios[0]); got != line {
		t.Error(got)
	}
}

func TestTimesKeepTheDigitsThatMatter(t *testing.T) {
	for s, want := range map[float64]string{0: "0s", 0.0124: "12ms", 2.345: "2.35s", 12.34: "12.3s", 130: "2m10s"} {
		if got := seconds(s); got != want {
			t.Errorf("%v: %s", s, got)
		}
	}
}
