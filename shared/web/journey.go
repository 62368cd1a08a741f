package web

import (
	"fmt"
	"time"
)

// Step is one stop on the journey of a vote. journey.js knows the names, the states and the words.
type Step struct {
	Name  string // accepted, queued, counted or shown
	State string // one of the constants below
	Title string
	Time  string // since the vote was cast; empty: not known

	Meaning string // what is true of a vote that was there
	What    string // what is true of this one
}

// The states of a step.
const (
	StepOpen   = "open"   // the vote has not come to it
	StepNow    = "now"    // it is what comes next
	StepDone   = "done"   // the vote was there
	StepFailed = "failed" // it can't get there
)

// Steps is the journey before it begins.
func Steps() []Step {
	row := []Step{
		{Name: "accepted", Title: "Accepted", Meaning: "the server has the vote"},
		{Name: "queued", Title: "Queued", Meaning: "in the stream, safe on disk"},
		{Name: "counted", Title: "Counted", Meaning: "stored and in the tally"},
		{Name: "shown", Title: "On screen", Meaning: "sent to every open results page"},
	}
	for i := range row {
		row[i].State, row[i].What = StepOpen, "not yet"
	}
	return row
}

// Reached is the step of a vote that was there.
func (s Step) Reached(time string) Step {
	s.State, s.What, s.Time = StepDone, s.Meaning, time
	return s
}

// Next is the step that an accepted vote comes to next.
func (s Step) Next() Step {
	s.State, s.What = StepNow, map[string]string{"counted": "waiting to be stored", "shown": "waiting for the next push"}[s.Name]
	return s
}

// Failed is the step that a vote can't get to, and why.
func (s Step) Failed(why string) Step {
	s.State, s.What = StepFailed, why
	return s
}

// After gives the time from one moment to a later one as people read it. The two come from clocks of two machines; where
// they contradict each other by more than a rounded millisecond, or one is not known, it gives nothing.
func After(from, to time.Time) string {
	took := to.Sub(from)
	switch {
	case from.IsZero() || to.IsZero() || took < -time.Millisecond:
		return ""
	case took < 10*time.Second:
		return fmt.Sprintf("%d ms", max(took.Milliseconds(), 0))
	case took < 2*time.Minute:
		return fmt.Sprintf("%d s", int(took.Seconds()))
	case took < 2*time.Hour:
		return fmt.Sprintf("%d min", int(took.Minutes()))
	}
	return fmt.Sprintf("%d h", int(took.Hours()))
}
