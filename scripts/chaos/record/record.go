// Package record is the account of a run: its types are the JSON of report.json, and its functions turn answers and
// readings into it.
package record

import (
	"time"

	"petvote/infra/ledger"
)

// Run is a whole run. Times within a scenario are seconds since it began.
type Run struct {
	Started     time.Time `json:"started"`
	Seconds     float64   `json:"seconds"`
	Command     string    `json:"command"` // repeats the run
	Machine     string    `json:"machine"`
	Target      string    `json:"target"` // local, or the Compose project
	Queues      int       `json:"queues"` // each a Redis of its own
	Worker      string    `json:"worker"` // real or naive
	Rate        int       `json:"rate"`   // votes per second, offered whether or not earlier ones are answered
	Retry       bool      `json:"retry"`  // votes that were not accepted were sent again under the same key
	Seed        uint64    `json:"seed,omitempty"`
	Verdict     Verdict   `json:"verdict"`
	Passed      bool      `json:"passed"` // the proof held, and every recovery was in time
	Interrupted bool      `json:"interrupted,omitempty"`
	Scenarios   []Outcome `json:"scenarios"`
}

// Outcome is the result of one scenario.
type Outcome struct {
	Name       string        `json:"name"`
	Hypothesis string        `json:"hypothesis"`
	Verdict    Verdict       `json:"verdict"`
	Passed     bool          `json:"passed"`
	Failures   []string      `json:"failures,omitempty"` // each refutes the proof, a sentence each
	Slow       []string      `json:"slow,omitempty"`     // each makes the recovery slow
	Load       float64       `json:"load_average"`       // of the machine over the last minute; 0: not known
	Seconds    float64       `json:"seconds"`
	Faults     []FaultWindow `json:"fault_windows"`
	Proof      ledger.Proof  `json:"proof"`
	Latency    Latency       `json:"latency"`
	Timeline   []Sample      `json:"timeline"`
	Episodes   []Interval    `json:"episodes"`
}

// FaultWindow is a fault and the recovery from it. A time that was not observed by the end of the scenario is nil.
type FaultWindow struct {
	Fault         string   `json:"fault"`                    // in words: kill worker
	From          float64  `json:"from"`                     // when it was injected
	To            float64  `json:"to"`                       // when it was undone
	FirstRefusal  *float64 `json:"first_refusal,omitempty"`  // after From; nil: every vote was accepted
	RefusedShare  float64  `json:"refused_share"`            // of the votes sent from From until votes were accepted again
	LongestGap    float64  `json:"longest_gap"`              // the longest time without an accepted vote
	AcceptedAgain *float64 `json:"accepted_again,omitempty"` // after To; 0: they were accepted all along
	Drained       *float64 `json:"drained,omitempty"`        // after To: the queues hold only votes just cast
	Current       *float64 `json:"current,omitempty"`        // after To: the page shows every vote stored by then
	Problem       string   `json:"problem,omitempty"`        // contradicts the hypothesis by itself
	Traces        []Trace  `json:"traces,omitempty"`         // of the accepted votes that waited longest meanwhile
}

// Trace leads to the trace of a vote.
type Trace struct {
	TraceID string  `json:"trace_id"`
	Vote    string  `json:"vote"`
	Seconds float64 `json:"seconds"`       // from the request to the answer
	URL     string  `json:"url,omitempty"` // in Jaeger, if its address is known
}

// Latency is of all answers, in seconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Sample is one step of the timeline: the answers during it, and the counts at its end. A count that could not be read
// is nil.
type Sample struct {
	At       float64 `json:"at"`                  // its end
	Accepted int     `json:"accepted"`            // answers in this step, by the time of the answer
	Refused  int     `json:"refused"`             // 503
	Unknown  int     `json:"unknown"`             // none in time, or cut off
	Total    int     `json:"total"`               // accepted since the scenario began
	Stored   *int64  `json:"stored,omitempty"`    // since the scenario began
	OnScreen *int64  `json:"on_screen,omitempty"` // since the scenario began
	Queue    *int64  `json:"queue,omitempty"`     // entries in all queues
}

// Interval is a time during which a service reported a problem, or nothing.
type Interval struct {
	Service string  `json:"service"`
	What    string  `json:"what"`  // breaker redis, calls redis-1, readiness
	State   string  `json:"state"` // open or half-open; failing; unavailable, degraded, draining or no answer
	From    float64 `json:"from"`
	To      float64 `json:"to"`
}
