package web

import "net/http"

// Masthead is the head of every page, with the links between them.
type Masthead struct {
	Vote, Results Link
	Here          Here
}

// Link is a checked address. If it was guessed, SiblingPort is the other service's port, and the page's scripts correct
// the host to the one the browser used.
type Link struct {
	Href        string
	SiblingPort int // 0 if the address is configured
}

// Here is the page that a masthead is on.
type Here int

// The pages that the masthead links to, and any other.
const (
	HereElsewhere Here = iota
	HereVote
	HereResults
)

// Sibling links to the front page of another service: at its configured base or, where that is empty, on the requested
// host.
func Sibling(base, requestHost string, port int) Link {
	if base != "" {
		return Link{Href: base + "/"}
	}
	return Link{Href: SiblingURL(requestHost, port), SiblingPort: port}
}

// themeCookie holds the theme that was chosen. A cookie, unlike localStorage, is shared by both services (cookies
// ignore the port) and known before the first paint.
const themeCookie = "petvote-theme"

// Theme is "light" or "dark" if the person has chosen one, else "": the system decides.
func Theme(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}
