package main

import (
	"time"

	"petvote/shared/ballot"
)

// record is a whole run, as DIR/report.json holds it. Times within a scenario are seconds since it began.
type record struct {
	Started     time.Time `json:"started"`
	Seconds     float64   `json:"seconds"`
	Command     string    `json:"command"` // that repeats the run
	Machine     string    `json:"machine"`
	Target      string    `json:"target"` // compose or local
	Worker      string    `json:"worker"` // real or naive
	Rate        int       `json:"rate"`   // votes per second, offered whatever becomes of those before
	Retry       bool      `json:"retry"`  // whether votes without success were sent again under the same key
	Seed        uint64    `json:"seed,omitempty"`
	Passed      bool      `json:"passed"`
	Interrupted bool      `json:"interrupted,omitempty"`
	Scenarios   []outcome `json:"scenarios"`
}

// outcome is what became of one scenario.
type outcome struct {
	Name       string   `json:"name"`
	Hypothesis string   `json:"hypothesis"`
	Passed     bool     `json:"passed"`
	Failures   []string `json:"failures,omitempty"` // what did not hold, a sentence each
	Seconds    float64  `json:"seconds"`
	Wounds     []wound  `json:"wounds"`
	Proof      proof    `json:"proof"`
	Latency    latency  `json:"latency"`
	Timeline   []moment `json:"timeline"`
	Episodes   []spell  `json:"episodes"`
}

// wound is a fault and how it healed. What was not seen by the end of the scenario is nil.
type wound struct {
	Fault         string      `json:"fault"`                    // in words: kill worker
	From          float64     `json:"from"`                     // when it was done
	To            float64     `json:"to"`                       // when it was undone
	FirstRefusal  *float64    `json:"first_refusal,omitempty"`  // after From; nil: no vote was refused or left without an answer
	RefusedShare  float64     `json:"refused_share"`            // of the votes sent from From until votes were accepted again
	LongestGap    float64     `json:"longest_gap"`              // the longest time without an accepted vote
	AcceptedAgain *float64    `json:"accepted_again,omitempty"` // after To; 0: they were all along
	Drained       *float64    `json:"drained,omitempty"`        // after To: the queue holds no more than is on its way
	Current       *float64    `json:"current,omitempty"`        // after To: the page shows what was stored when the queue was drained
	Problem       string      `json:"problem,omitempty"`        // what refutes the hypothesis at once
	Traces        []traceLink `json:"traces,omitempty"`         // of votes that were accepted meanwhile and waited longest
}

// traceLink leads to the trace of a vote.
type traceLink struct {
	TraceID string  `json:"trace_id"`
	Vote    string  `json:"vote"`
	Seconds float64 `json:"seconds"`       // from the request to the answer
	URL     string  `json:"url,omitempty"` // in Jaeger, where one is known
}

// proof is what was accepted and what is stored, compared as sets.
type proof struct {
	Sent     int `json:"sent"` // votes, each with a key of its own
	Accepted int `json:"accepted"`
	Refused  int `json:"refused"` // by the best answer of all attempts
	Unknown  int `json:"unknown"` // no answer in time, or the connection was cut
	Retries  int `json:"retries"`
	Stored   int `json:"stored"` // of those sent

	Lost             int      `json:"lost"`           // accepted and not stored as what they were cast for
	CountedTwice     int64    `json:"counted_twice"`  // more in the tally of a pet than there are votes for it
	NotCounted       int64    `json:"not_counted"`    // fewer
	RefusedStored    int      `json:"refused_stored"` // refused, and stored all the same, which is no fault
	UnknownStored    int      `json:"unknown_stored"`
	UnknownNotStored int      `json:"unknown_not_stored"`
	LostIDs          []string `json:"lost_ids,omitempty"`

	Rows        int64         `json:"rows"`      // in PostgreSQL, everyone's
	Tally       int64         `json:"tally"`     // the sum that PostgreSQL keeps
	OnScreen    int64         `json:"on_screen"` // the sum that the results page shows
	Tallied     ballot.Counts `json:"tallied"`
	Shown       ballot.Counts `json:"shown"`
	Books       books         `json:"books"`
	DeadLetters int64         `json:"dead_letters"`        // since the scenario began
	Backwards   int           `json:"backwards"`           // pushes with a smaller number than one before
	Restarted   string        `json:"restarted,omitempty"` // services that were restarted though nobody had touched them
}

// books are accepted = stored + duplicates + dead-lettered + waiting + in flight, as differences to the scenario's begin.
type books struct {
	Accepted   int64 `json:"accepted"` // entries ever added to the stream
	Stored     int64 `json:"stored"`
	Duplicates int64 `json:"duplicates"`
	Dead       int64 `json:"dead"`
	Waiting    int64 `json:"waiting"` // with those in flight
	Difference int64 `json:"difference"`
}

// latency is of the answers, whatever they said, in seconds.
type latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// moment is one step of the timeline: what was answered during it, and how things stood at its end. What could not be asked is nil.
type moment struct {
	At       float64 `json:"at"`                  // its end
	Accepted int     `json:"accepted"`            // answers in this step, by the time of the answer
	Refused  int     `json:"refused"`             // 503
	Unknown  int     `json:"unknown"`             // none in time, or cut off
	Total    int     `json:"total"`               // accepted since the scenario began
	Stored   *int64  `json:"stored,omitempty"`    // since the scenario began
	OnScreen *int64  `json:"on_screen,omitempty"` // since the scenario began
	Queue    *int64  `json:"queue,omitempty"`     // entries in the stream
}

// spell is a time during which a part said that something was not well.
type spell struct {
	Service string  `json:"service"`
	What    string  `json:"what"`  // breaker redis, breaker postgres, or readiness
	State   string  `json:"state"` // open or half-open; unavailable, degraded, draining or no answer
	From    float64 `json:"from"`
	To      float64 `json:"to"`
}
