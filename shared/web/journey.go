package web

import (
	"fmt"
	"time"
)

// Station is one stop on the journey of a vote. journey.js knows the names, the states and the words.
type Station struct {
	Name  string // accepted, queued, counted or shown
	State string // one of the constants below
	Title string
	Time  string // since the vote was cast; empty: not known
	What  string // what this station means, or what the vote waits for
}

// The states of a station.
const (
	StationOpen   = "open"   // the vote has not come to it
	StationNow    = "now"    // it is what comes next
	StationDone   = "done"   // the vote was there
	StationFailed = "failed" // it can't get there
)

// Stations is the journey before it begins.
func Stations() []Station {
	return []Station{
		{"accepted", StationOpen, "Accepted", "", "the server has the vote"},
		{"queued", StationOpen, "Queued", "", "in the stream, safe on disk"},
		{"counted", StationOpen, "Counted", "", "stored and in the tally"},
		{"shown", StationOpen, "On screen", "", "sent to every open results page"},
	}
}

// Underway says what a vote waits for that is on its way to the named station.
func Underway(name string) string {
	return map[string]string{
		"accepted": "on its way to the server",
		"queued":   "on its way into the stream",
		"counted":  "waiting for a worker",
		"shown":    "waiting for the next push",
	}[name]
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
