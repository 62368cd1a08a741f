package web

import "net/http"

// Masthead is the head of every page, with the ways between them.
type Masthead struct {
	Vote, Results Link
	Here          Here
}

// Link is an address that may be followed. One that was guessed has the port of the service that it leads to, and the
// browser, which knows the host by the right name, corrects the rest.
type Link struct {
	Href        string
	SiblingPort int // 0: the address is not a guess
}

// Here says which page a masthead stands on.
type Here int

// The pages that the masthead leads to, and any other.
const (
	HereElsewhere Here = iota
	HereVote
	HereResults
)

// Sibling is the link to the front page of another service: at its configured base, or, where that is empty, on the host
// that was asked for.
func Sibling(base, requestHost string, port int) Link {
	if base != "" {
		return Link{Href: base + "/"}
	}
	return Link{Href: SiblingURL(requestHost, port), SiblingPort: port}
}

// themeCookie holds what the switch was set to. It is a cookie, and not kept in the page, because both services' pages
// then agree (cookies know no ports), and the first paint is right.
const themeCookie = "petvote-theme"

// Theme is "light" or "dark" if the person has set the switch, else "": as the system is set.
func Theme(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}
