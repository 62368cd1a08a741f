// Package web is the voting page as HTML: vote.qtpl, compiled to Go by go generate, and the files under static/ that
// the page loads.
package web

//go:generate go tool qtc

// VotePage is what the page shows. The page escapes all of it; an address has to be one that may be followed.
type VotePage struct {
	Pets       []string
	State      string // of the status region: idle, accepted or refused
	Notice     string // its text
	ResultURL  string // as configured, for the modules
	JaegerURL  string // the same
	ResultLink string // for the link; a guess if not configured
	ResultPort int    // of the guess, which the browser corrects; 0 if configured
}
