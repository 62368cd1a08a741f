// Package web is the pages of the results as HTML: result.qtpl and receipt.qtpl, compiled to Go by go generate, and the
// files under static/ that they load.
package web

//go:generate go tool qtc

// Masthead is the head of both pages. The link to the voting page has the configured address, or a guess, of which the
// browser corrects the host.
type Masthead struct {
	VoteLink  string
	VotePort  int // of the guess; 0 if configured
	OnResults bool
}

// ResultPage is what the results page shows. Unless Known, no number is shown.
type ResultPage struct {
	Masthead     Masthead
	Known        bool // whether the tally has been read yet
	Stale        bool // whether it may have changed since without our knowing
	Rows         []ResultRow
	Total        int64
	GroupedTotal string
	AgeMS        int64  // of the numbers when the page was built
	Age          string // the same in words
}

// ResultRow is one pet's line: its votes, in digits and as people read them, and its share of all votes in per cent.
type ResultRow struct {
	Pet     string
	Count   int64
	Grouped string
	Share   string
}

// ReceiptPage is what the page of a receipt shows. What is empty is left out, and so are the times unless Counted.
type ReceiptPage struct {
	Masthead  Masthead
	ID        string
	State     string // "queued", "counted", "shown", "given_up", "unknown"
	Pet       string
	Counted   bool // in the states counted and shown
	Cast      Moment
	Queued    Moment
	Stored    Moment
	Shown     Moment
	Took      string
	Reason    string // of a vote that was given up: "undecodable", "invalid", "rejected", "too_many_deliveries"
	TraceID   string
	TraceLink string // an address that may be followed
}

// Moment is a time for machines, as the datetime attribute wants it, and as people read it.
type Moment struct{ Machine, Clock string }
