package web

import (
	"fmt"
	"time"
)

// Step is one step on the journey of a vote. journey.js has the same names, states and words.
type Step struct {
	Name    string // accepted, queued, counted or shown
	Title   string
	State   string // one of the constants below
	Time    string // since the vote was cast; empty if unknown
	Meaning string // of the step once it is done
	What    string // the state in words
}

// The states of a step.
const (
	stepOpen   = "open" // not reached yet
	stepNow    = "now"  // the next to be reached
	stepDone   = "done"
	stepFailed = "failed" // can't be reached
)

// Steps is the journey before it begins.
func Steps() []Step {
	open := func(name, title, meaning string) Step {
		return Step{Name: name, Title: title, State: stepOpen, Meaning: meaning, What: "not yet"}
	}
	return []Step{
		open("accepted", "Accepted", "the server has the vote"),
		open("queued", "Queued", "in the stream, safe on disk"),
		open("counted", "Counted", "stored and in the tally"),
		open("shown", "On screen", "sent to every open results page"),
	}
}

// Done marks the step as reached after a time in words.
func (s *Step) Done(time string) { s.State, s.What, s.Time = stepDone, s.Meaning, time }

// Now marks the step as the next that an accepted vote reaches.
func (s *Step) Now() {
	s.State, s.What = stepNow, map[string]string{
		"counted": "waiting to be stored", "shown": "waiting for the next push"}[s.Name]
}

// Failed marks the step as one that the vote can't reach, and says why.
func (s *Step) Failed(why string) { s.State, s.What = stepFailed, why }

// After returns the time from one moment to a later one in words. The clocks of two machines may differ: the result is
// empty if they contradict each other by more than a rounded millisecond, and if a moment is unknown.
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
