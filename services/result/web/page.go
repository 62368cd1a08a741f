// Package web is the results and receipt pages: result.qtpl and receipt.qtpl, compiled to Go by go generate, and the
// files under static/ that they load.
package web

import "petvote/shared/web"

//go:generate go tool qtc

// ResultPage is the data of the results page. Unless Known, it shows no number.
type ResultPage struct {
	Theme        string // from web.Theme
	Masthead     web.Masthead
	Kiosk        bool   // for a big screen that nobody touches
	TraceShare   string // from telemetry.TraceShare
	Known        bool   // whether a tally has been read yet
	Stale        bool   // whether the tally may have changed since
	Title        string
	Leader       string // a sentence
	Rows         []ResultRow
	Total        int64
	GroupedTotal string
	AgeMS        int64  // of the numbers
	Age          string // in words
}

// ResultRow is one pet's votes and share of all votes in per cent, each as a number and as text.
type ResultRow struct {
	Pet     string
	Count   int64
	Grouped string
	Percent string
	Share   string
}

// ReceiptPage is the data of the receipt page. Empty fields are left out.
type ReceiptPage struct {
	Theme     string
	Masthead  web.Masthead
	ID        string
	State     string
	Headline  string // the state in a sentence
	Pet       string
	Journey   []web.Step
	Cast      Moment
	Stored    Moment
	Reason    string // of a dead letter
	TraceID   string
	TraceLink string
}

// Moment is a time for machines, for the datetime attribute, and for people; both empty if unknown.
type Moment struct{ Machine, Clock string }
