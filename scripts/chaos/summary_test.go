package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTheVerdictIsSaidInWords(t *testing.T) {
	held, broken := outcome{Passed: true, Proof: proof{Accepted: 2100}}, outcome{Proof: proof{Accepted: 2110}}
	losing, doubling := broken, broken
	losing.Proof.Lost, doubling.Proof.CountedTwice = 3, 2
	for _, c := range []struct {
		record
		want string
		tone tone
	}{
		{record{Passed: true, Scenarios: []outcome{held, held}}, "Nothing was lost, nothing was counted twice", toneGood},
		{record{Scenarios: []outcome{held, losing}}, "3 of 4,210 accepted votes were lost", toneBad},
		{record{Scenarios: []outcome{{Proof: proof{Accepted: 1, Lost: 1}}}}, "1 of 1 accepted vote was lost", toneBad},
		{record{Scenarios: []outcome{doubling}}, "2 votes were counted twice", toneBad},
		{record{Scenarios: []outcome{losing, doubling}}, "3 of 4,220 accepted votes were lost, and 2 votes were counted twice", toneBad},
		{record{Scenarios: []outcome{held, broken}}, "No vote was lost or counted twice, but 1 of 2 scenarios did not hold", toneBad},
		{record{Interrupted: true, Scenarios: []outcome{held}}, "Interrupted: until then nothing was lost, nothing was counted twice", toneWait},
		{record{Interrupted: true, Scenarios: []outcome{held, losing}}, "3 of 4,210 accepted votes were lost", toneBad},
		{record{Interrupted: true}, "Interrupted before anything was tried", toneWait},
		{record{Passed: true}, "Nothing was shown", toneBad},
		{record{Scenarios: []outcome{held}}, "Nothing was shown", toneBad},
	} {
		got, tone := c.verdict()
		if got != c.want || tone != c.tone {
			t.Errorf("%s (%s), not %s (%s)", got, tone, c.want, c.tone)
		}
		if _, page := written(t, &c.record); !strings.Contains(page, c.want+"</h1>") || !strings.Contains(page, `class="verdict `+string(c.tone)) {
			t.Errorf("the page does not say %s", c.want)
		}
		if lines := strings.Split(strings.TrimSpace(c.String()), "\n"); lines[len(lines)-1] != c.want+"." {
			t.Errorf("the terminal ends with %s", lines[len(lines)-1])
		}
	}
}

func TestTheTerminalHasARowForEachScenarioAndSaysWhatDidNotHold(t *testing.T) {
	r := exampleRun("naive")
	said := r.String()
	for _, want := range []string{
		"\nkill worker       FAILED      5,006        0        0    23      0       all along   448 ms    860 ms\n",
		"\npause PostgreSQL  held  ", "not seen\n", "\nkill worker did not hold:\n  23 accepted votes are not stored.\n  The books do not balance: the difference is 23.\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	head, rows := strings.Split(said, "\n")[0], strings.Split(said, "\n")[1:6]
	for _, row := range rows {
		if utf8.RuneCountInString(row) != utf8.RuneCountInString(head) {
			t.Errorf("not aligned:\n%s\n%s", head, row)
		}
	}
}

func TestTheTerminalKeepsWithin110Columns(t *testing.T) {
	r := exampleRun("naive")
	o := &r.Scenarios[0]
	o.Name = strings.Repeat("überall gleichzeitig ", 12) + "\x1b[31m\nred"
	o.Failures = []string{strings.Repeat("a long sentence about what did not hold ", 9), strings.Repeat("x", 300)}
	o.Proof.Accepted, o.Proof.Refused, o.Proof.Unknown, o.Proof.Lost = 1234567, 1234567, 1234567, 1234567
	o.Proof.CountedTwice = 1234567
	lines := strings.Split(r.String(), "\n")
	for i := range r.Scenarios {
		lines = append(lines, r.Scenarios[i].line())
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > 110 || strings.ContainsAny(line, "\x1b\r\t") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if !strings.HasPrefix(lines[1], "überall") || !strings.HasSuffix(lines[1], "860 ms") {
		t.Errorf("the row is %q", lines[1])
	}
}

func TestAScenarioEndsWithOneLine(t *testing.T) {
	held, failed := exampleRun("real").Scenarios[2], exampleRun("naive").Scenarios[0]
	for want, o := range map[string]outcome{
		"kill Redis          held    3,298 accepted, 0 lost, 0 twice; again 483 ms, drained 1.11 s, current 440 ms":    held,
		"kill worker         held    5,006 accepted, 0 lost, 0 twice; always accepted, drained 448 ms, current 860 ms": exampleRun("real").Scenarios[0],
		"kill worker         FAILED  5,006 accepted, 23 lost, 0 twice: 23 accepted votes are not stored.":              failed,
	} {
		if got := o.line(); got != want {
			t.Errorf("%q", got)
		}
	}
}

func TestTimesAndNumbersReadWell(t *testing.T) {
	for s, want := range map[float64]string{0: "0 ms", 0.0124: "12 ms", 0.9996: "1.00 s", 2.345: "2.35 s", 9.996: "10.0 s", 12.34: "12.3 s", 119.96: "2 min 0 s", 130: "2 min 10 s", 3725: "1 h 2 min"} {
		if got := inSeconds(s); got != want {
			t.Errorf("%v: %s", s, got)
		}
	}
	for part, want := range map[float64]string{0: "none", 0.004: "under 1 %", 0.97: "97 %", 0.999: "over 99 %", 1: "all"} {
		if got := shareWords(part); got != want {
			t.Errorf("%v: %s", part, got)
		}
	}
}
