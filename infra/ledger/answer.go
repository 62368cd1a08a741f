// Package ledger proves, or refutes, that every accepted vote is counted exactly once: it compares the voters' answers
// with the stored votes, one by one, and checks the tally, the page and the books against them.
//
// It reads Redis and PostgreSQL through a [Store], and relies on nothing that the services say.
package ledger

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
)

// Status is a voter's knowledge after an attempt.
type Status string

// The statuses.
const (
	Accepted Status = "accepted"
	Refused  Status = "refused" // 503 or 429, or the connection was refused
	Unknown  Status = "unknown" // no answer in time, or the connection was cut: it may have been accepted
	Wrong    Status = "wrong"   // an answer that no voter should ever see
)

// Answer is one attempt and its outcome. Times are seconds since the ledger began.
type Answer struct {
	Vote    uuid.UUID     `json:"vote"`
	Pet     ballot.Choice `json:"pet"`
	Attempt int           `json:"attempt"` // from 1
	Sent    float64       `json:"sent"`
	At      float64       `json:"at"`
	Status  Status        `json:"status"`
	Code    int           `json:"code,omitempty"` // HTTP status; 0: there was no answer
	TraceID string        `json:"trace_id,omitempty"`
	Entry   string        `json:"entry,omitempty"`
	Error   string        `json:"error,omitempty"`
}

// Ledger holds every answer in the order of arrival. Its methods may be called from several goroutines.
type Ledger struct {
	Began time.Time
	log   io.Writer

	mu      sync.Mutex
	answers []Answer
	failed  error // the first failed write to the log
}

// New begins a ledger. The log, which may be nil, receives every answer, a JSON object a line, in the order of arrival.
// A line is written before the same voter casts the next vote, so a file outlives this program.
func New(log io.Writer) *Ledger { return &Ledger{Began: time.Now(), log: log} }

// Add notes an answer.
func (l *Ledger) Add(a Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers = append(l.answers, a)
	if l.log != nil && l.failed == nil {
		l.failed = json.NewEncoder(l.log).Encode(a)
	}
}

// logged returns an error if the log lacks an answer: a log with a hole proves nothing.
func (l *Ledger) logged() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return fmt.Errorf("answer log: %w", l.failed)
	}
	return nil
}

// Answers are those so far. The caller must not change them.
func (l *Ledger) Answers() []Answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers[:len(l.answers):len(l.answers)]
}

// Count is the number of answers with a status.
func (l *Ledger) Count(status Status) (n int) {
	for _, a := range l.Answers() {
		if a.Status == status {
			n++
		}
	}
	return n
}
