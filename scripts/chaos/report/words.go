package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"petvote/infra/ledger"
	"petvote/scripts/chaos/record"
	"petvote/shared/ballot"
)

// Texts that the page and the terminal share.

// tone is the colour of a verdict.
type tone string

const (
	good tone = "good"
	bad  tone = "bad"
	warn tone = "wait"
)

var tones = map[string]tone{
	record.Held: good, record.Refuted: bad, record.None: bad,
	record.InTime: good, record.Slow: warn, record.Unmeasured: warn,
}

// totals are the sums over all scenarios.
type totals struct {
	ledger.Proof
	Difference            int64
	Slowest               float64
	faults, refuted, slow int
}

func sum(r *record.Run) (all totals) {
	for i := range r.Scenarios {
		o := &r.Scenarios[i]
		p := &o.Proof
		all.Accepted, all.Refused, all.Unknown = all.Accepted+p.Accepted, all.Refused+p.Refused, all.Unknown+p.Unknown
		all.Lost, all.CountedTwice = all.Lost+p.Lost, all.CountedTwice+p.CountedTwice
		all.Difference += max(p.Books.Difference, -p.Books.Difference)
		all.Slowest, all.faults = max(all.Slowest, o.Latency.Max), all.faults+len(o.Faults)
		if o.Verdict.Proof != record.Held {
			all.refuted++
		}
		if o.Verdict.Recovery == record.Slow {
			all.slow++
		}
	}
	return all
}

// heading is the result of a run in a sentence.
type heading struct {
	Text string
	Tone tone
}

// headline sums up the run. Lost votes and votes counted twice come before anything else, even
// after an interrupt.
func headline(r *record.Run) heading {
	all := sum(r)
	lost := fmt.Sprintf("%s of %s lost", ballot.Digits(all.Lost),
		counted(all.Accepted, "accepted vote was", "accepted votes were"))
	twice := counted(int(all.CountedTwice), "vote was", "votes were") + " counted twice"
	scenarios := counted(len(r.Scenarios), "scenario", "scenarios")
	switch {
	case all.Lost > 0 && all.CountedTwice > 0:
		return heading{lost + ", and " + twice, bad}
	case all.Lost > 0:
		return heading{lost, bad}
	case all.CountedTwice > 0:
		return heading{twice, bad}
	case all.refuted > 0:
		return heading{fmt.Sprintf("No vote was lost or counted twice, but the proof was refuted in %d of %s",
			all.refuted, scenarios), bad}
	case r.Interrupted && len(r.Scenarios) == 0:
		return heading{"Interrupted before anything was tried", warn}
	case r.Interrupted:
		return heading{"Interrupted: until then nothing was lost, nothing was counted twice", warn}
	case r.Verdict.Proof == record.None:
		return heading{"Nothing was proved", bad}
	case all.slow > 0:
		return heading{fmt.Sprintf("Nothing was lost, nothing was counted twice; recovery was slow in %d of %s",
			all.slow, scenarios), warn}
	}
	return heading{"Nothing was lost, nothing was counted twice", good}
}

// note gives the evidence for the headline.
func note(r *record.Run) string {
	text := fmt.Sprintf("%s accepted in %s with %s. Then the accepted votes were compared with the stored ones.",
		counted(sum(r).Accepted, "vote was", "votes were"), counted(len(r.Scenarios), "scenario", "scenarios"),
		counted(sum(r).faults, "fault", "faults"))
	if r.Interrupted {
		text += " The run was interrupted before its end."
	}
	return text
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return ballot.Digits(n) + " " + many
}

// recovery is a scenario's recovery verdict, with the machine's load beside a slow one.
func recovery(o *record.Outcome) string {
	if o.Verdict.Recovery == record.Slow && o.Load > 0 {
		return fmt.Sprintf("slow (load average %.1f)", o.Load)
	}
	return o.Verdict.Recovery
}

// recoveryTimes are the longest after any fault of a scenario.
type recoveryTimes struct{ AcceptedAgain, Drained, Current string }

func times(o *record.Outcome) recoveryTimes {
	if len(o.Faults) == 0 {
		return recoveryTimes{"–", "–", "–"}
	}
	again, drained, current := new(float64), new(float64), new(float64)
	for _, w := range o.Faults {
		again, drained, current = later(again, w.AcceptedAgain), later(drained, w.Drained), later(current, w.Current)
	}
	return recoveryTimes{recoveredIn(again), recoveredIn(drained), recoveredIn(current)}
}

// later is the later of two times; one that was not observed is later than any.
func later(a, b *float64) *float64 {
	if a == nil || b != nil && *b <= *a {
		return a
	}
	return b
}

func recoveredIn(took *float64) string {
	switch {
	case took == nil:
		return "not seen"
	case *took <= 0:
		return "at once"
	}
	return seconds(*took)
}

// seconds keeps the digits that matter: 480ms, 2.35s, 12.3s, 2m10s.
func seconds(s float64) string {
	digits := time.Second
	switch {
	case s < 1:
		digits = time.Millisecond
	case s < 10:
		digits = 10 * time.Millisecond
	case s < 120:
		digits = 100 * time.Millisecond
	}
	return time.Duration(s * float64(time.Second)).Round(digits).String()
}

// Summarise writes a row for each scenario, the reasons of each bad verdict, and the headline as the last line.
func Summarise(out io.Writer, r *record.Run) {
	const row = "%-19.19s  %-7s  %-8.8s %9s %8s %8s %5s %6s %8s %8s %8s\n"
	fmt.Fprintf(out, row, "scenario", "proof", "recovery", "accepted", "refused", "unknown", "lost", "twice",
		"again", "drained", "current")
	for i := range r.Scenarios {
		o := &r.Scenarios[i]
		p, t := &o.Proof, times(o)
		fmt.Fprintf(out, row, o.Name, o.Verdict.Proof, o.Verdict.Recovery, ballot.Digits(p.Accepted),
			ballot.Digits(p.Refused), ballot.Digits(p.Unknown), ballot.Digits(p.Lost), ballot.Digits(p.CountedTwice),
			t.AcceptedAgain, t.Drained, t.Current)
	}
	explain := func(title string, reasons []string) {
		if len(reasons) > 0 {
			fmt.Fprintf(out, "\n%s\n  %s\n", title, strings.Join(reasons, "\n  "))
		}
	}
	for i := range r.Scenarios {
		o := &r.Scenarios[i]
		explain(o.Name+": the proof was refuted", o.Failures)
		explain(o.Name+": recovery was "+recovery(o), o.Slow)
	}
	queues := ""
	if r.Queues > 1 {
		queues = fmt.Sprintf(", %d queues", r.Queues)
	}
	fmt.Fprintf(out, "\n%s%s: %s.\n", r.Target, queues, headline(r).Text)
}

// Line sums a scenario up when it ends.
func Line(o *record.Outcome) string {
	p, t := &o.Proof, times(o)
	return fmt.Sprintf("%s: proof %s, recovery %s; %s accepted, %s lost, %s twice; again %s, drained %s, current %s",
		o.Name,
		o.Verdict.Proof, recovery(o), ballot.Digits(p.Accepted), ballot.Digits(p.Lost), ballot.Digits(p.CountedTwice),
		t.AcceptedAgain, t.Drained, t.Current)
}
