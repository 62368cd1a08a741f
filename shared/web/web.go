// Package web is shared by the vote and result pages: the stylesheet, icons and small modules under static/, the pieces
// of HTML in fragments.qtpl, the handler of static files, and the security headers.
//
// A page merges its own static files with the shared ones by Assets and answers with Render. It loads everything from
// its own origin and has nothing inline, so the content security policy needs no exception.
//
// The pages are quicktemplate's .qtpl files: plain HTML with typed parameters, which go generate compiles to Go.
// html/template would add 6 and 13 MB to the two programs: it calls methods by names known only at run time, so the
// linker has to keep every exported method of every type in use. In return
//
//   - {%s x %} escapes for the text of an element and for a quoted attribute, and nothing else. So every attribute is
//     quoted, scripts and styles hold nothing dynamic, and addresses are checked before they get here.
//   - {%s= x %} would not escape, and is never used. {%= f() %} calls another template, which has escaped already.
package web

import (
	"embed"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
)

//go:generate go tool qtc

//go:embed static
var shared embed.FS

// BaseCSS is the design system, for pages that carry their style in them.
//
//go:embed static/base.css
var BaseCSS string

// Render answers with an HTML document that no cache keeps.
func Render(w http.ResponseWriter, status int, document string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, document) // fails only if the client is gone
}

// JSON answers with a JSON document that no cache keeps.
func JSON(w http.ResponseWriter, status int, document any) {
	beginJSON(w, status)
	_ = json.NewEncoder(w).Encode(document) // fails only if the client is gone
}

// EncodedJSON answers like JSON with a document that is encoded already.
func EncodedJSON(w http.ResponseWriter, status int, document []byte) {
	beginJSON(w, status)
	_, _ = w.Write(document) // fails only if the client is gone
}

func beginJSON(w http.ResponseWriter, status int) {
	maps.Copy(w.Header(), jsonHeaders)
	w.WriteHeader(status)
}

// jsonHeaders are shared by all answers: replace a header's value, never write into it.
var jsonHeaders = http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}

// Problem answers with an error in JSON.
func Problem(w http.ResponseWriter, status int, message string) {
	JSON(w, status, struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	}{"error", message})
}

// Masthead is the head of every page, with the links between them.
type Masthead struct {
	Vote, Results Link
	Here          Here
}

// Here is the page that a masthead is on.
type Here int

// The pages that the masthead links to, and any other.
const (
	HereElsewhere Here = iota
	HereVote
	HereResults
)

// Theme is "light" or "dark" if the person has chosen one. If it is "", the system decides. The choice is in a
// cookie, which both services can read before the first paint. They can't read localStorage.
func Theme(r *http.Request) string {
	if c, err := r.Cookie("petvote-theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// Label capitalizes a word.
func Label(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
