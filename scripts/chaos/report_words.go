package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"petvote/shared/ballot"
)

// What the page and the terminal both say, said once.

// tone is how a verdict is to be taken: good, bad or wait.
type tone string

const (
	toneGood tone = "good"
	toneBad  tone = "bad"
	toneWait tone = "wait"
)

// verdict says in a sentence what the run has shown. Votes lost or counted twice are said before anything else, also of a run that
// was interrupted.
func (r *record) verdict() (string, tone) {
	var accepted, lost, failed int
	var twice int64
	for _, o := range r.Scenarios {
		accepted += o.Proof.Accepted
		lost += o.Proof.Lost
		twice += o.Proof.CountedTwice
		if !o.Passed {
			failed++
		}
	}
	switch {
	case lost > 0 && twice > 0:
		return lostWords(lost, accepted) + ", and " + twiceWords(twice), toneBad
	case lost > 0:
		return lostWords(lost, accepted), toneBad
	case twice > 0:
		return capital(twiceWords(twice)), toneBad
	case failed > 0:
		return fmt.Sprintf("No vote was lost or counted twice, but %s did not hold", ofAll(failed, len(r.Scenarios), "scenario")), toneBad
	case r.Interrupted && len(r.Scenarios) == 0:
		return "Interrupted before anything was tried", toneWait
	case r.Interrupted:
		return "Interrupted: until then nothing was lost, nothing was counted twice", toneWait
	case !r.Passed || len(r.Scenarios) == 0:
		return "Nothing was shown", toneBad
	default:
		return "Nothing was lost, nothing was counted twice", toneGood
	}
}

// verdictNote says what the verdict rests on.
func (r *record) verdictNote() string {
	var accepted, faults, failed int
	lost := false
	for _, o := range r.Scenarios {
		accepted += o.Proof.Accepted
		lost = lost || o.Proof.Lost > 0 || o.Proof.CountedTwice > 0
		faults += len(o.Wounds)
		if !o.Passed {
			failed++
		}
	}
	note := fmt.Sprintf("%s accepted in %s with %s; then what was accepted and what is stored were compared, vote by vote.",
		counted(accepted, "vote was", "votes were"), counted(len(r.Scenarios), "scenario", "scenarios"), counted(faults, "fault", "faults"))
	if lost && len(r.Scenarios) > 1 {
		note += " " + counted(failed, "scenario", "scenarios") + " did not hold."
	}
	if r.Interrupted {
		note += " The run was interrupted, so this is not all of it."
	}
	return note
}

func lostWords(lost, accepted int) string {
	verb := "were"
	if lost == 1 {
		verb = "was"
	}
	return ofAll(lost, accepted, "accepted vote") + " " + verb + " lost"
}

func twiceWords(n int64) string { return counted(int(n), "vote was", "votes were") + " counted twice" }

func ofAll(n, all int, what string) string {
	if all != 1 {
		what += "s"
	}
	return ballot.Digits(n) + " of " + ballot.Digits(all) + " " + what
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return ballot.Digits(n) + " " + many
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// allAlong stands for the time until votes were accepted again where they never ceased to be.
const allAlong = "all along"

// longestHealing is the longest that any fault of a scenario took to heal, as the table of all scenarios says it.
type longestHealing struct{ AcceptedAgain, Drained, Current string }

func (o *outcome) healing() longestHealing {
	longest := func(of func(*wound) *float64, none string) string {
		most := 0.0
		for i := range o.Wounds {
			took := of(&o.Wounds[i])
			if took == nil {
				return "not seen"
			}
			most = max(most, *took)
		}
		if len(o.Wounds) == 0 {
			return "–"
		}
		return healedWords(&most, none)
	}
	return longestHealing{
		AcceptedAgain: longest(func(w *wound) *float64 { return w.AcceptedAgain }, allAlong),
		Drained:       longest(func(w *wound) *float64 { return w.Drained }, "at once"),
		Current:       longest(func(w *wound) *float64 { return w.Current }, "at once"),
	}
}

// healedWords says how long something took, and that what has no time was not seen.
func healedWords(took *float64, none string) string {
	switch {
	case took == nil:
		return "not seen"
	case *took <= 0:
		return none
	}
	return inSeconds(*took)
}

// inSeconds gives seconds with the digits that matter: 480 ms, 2.35 s, 12.3 s, 2 min 10 s.
func inSeconds(s float64) string {
	switch {
	case math.IsNaN(s) || math.IsInf(s, 0):
		return "–"
	case s < 0.9995:
		return fmt.Sprintf("%.0f ms", s*1000)
	case s < 9.995:
		return fmt.Sprintf("%.2f s", s)
	case s < 119.95:
		return fmt.Sprintf("%.1f s", s)
	}
	whole := time.Duration(math.Round(s)) * time.Second
	if whole >= time.Hour {
		return fmt.Sprintf("%d h %d min", int(whole.Hours()), int(whole.Minutes())%60)
	}
	return fmt.Sprintf("%d min %d s", int(whole.Minutes()), int(whole.Seconds())%60)
}

// short writes the numbers of an axis: 9,500, 12k, 1.5M.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	}
	return ballot.Digits(int(math.Round(v)))
}
