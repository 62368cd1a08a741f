// Package web is the voting page as HTML: vote.qtpl, compiled to Go by go generate, and the files under static/ that
// the page loads.
package web

import "petvote/shared/web"

//go:generate go tool qtc

// VotePage is what the page shows. The page escapes all of it; an address has to be one that may be followed.
type VotePage struct {
	Theme       string // as web.Theme gives it
	Masthead    web.Masthead
	Pets        []string
	State       string // of the status region: idle, accepted or refused
	Notice      string // its text
	ReceiptLink string // behind it; empty: none
	RetryKey    string // of a vote that was not taken, to be sent again under the same key; empty: none
	RetryPet    string
	ResultURL   string // as configured, for the modules
	JaegerURL   string // the same
	TraceShare  string // of the traces that the page begins; empty: none
}
