// Package web is the pages of the results as HTML: result.qtpl and receipt.qtpl, compiled to Go by go generate, and the
// files under static/ that they load.
package web

import "petvote/shared/web"

//go:generate go tool qtc

// ResultPage is what the results page shows. Unless Known, no number is shown.
type ResultPage struct {
	Theme        string // as web.Theme gives it
	Masthead     web.Masthead
	Kiosk        bool   // for a big screen that nobody touches
	TraceShare   string // of the traces that are recorded; empty: none
	Known        bool   // whether the tally has been read yet
	Stale        bool   // whether it may have changed since without our knowing
	Title        string
	Leader       string // who leads, in a sentence
	Rows         []ResultRow
	Total        int64
	GroupedTotal string
	AgeMS        int64  // of the numbers when the page was built
	Age          string // the same in words
}

// ResultRow is one pet's line: its votes and its part of all votes in per cent, each as a number and as people read it.
type ResultRow struct {
	Pet     string
	Count   int64
	Grouped string
	Part    string
	Share   string
}

// ReceiptPage is what the page of a receipt shows. What is empty is left out.
type ReceiptPage struct {
	Theme     string
	Masthead  web.Masthead
	ID        string
	State     string // queued, counted, shown, given_up or unknown
	Headline  string // the state in a sentence
	Pet       string
	Journey   []web.Step // none for a vote that is not known
	Cast      Moment
	Stored    Moment
	Reason    string // why it was given up
	TraceID   string
	TraceLink string // an address that may be followed
}

// Moment is a time for machines, as the datetime attribute wants it, and as people read it; both empty if unknown.
type Moment struct{ Machine, Clock string }
