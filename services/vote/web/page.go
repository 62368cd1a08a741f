// Package web is the voting page: vote.qtpl, compiled to Go by go generate, and the files under static/ that it loads.
package web

import "petvote/shared/web"

//go:generate go tool qtc

// VotePage is the data of the page, which escapes all of it. Addresses must be checked before.
type VotePage struct {
	Theme       string // from web.Theme
	Masthead    web.Masthead
	Pets        []string
	State       string // of the status region: idle, accepted or refused
	Notice      string // the region's text
	ReceiptLink string // after the notice; empty: none
	RetryKey    string // of a vote that was not accepted, to be sent again with it; empty: none
	RetryPet    string
	ResultURL   string // as configured; empty: the masthead's link
	JaegerURL   string // the same
	TraceShare  string // from telemetry.TraceShare
}
