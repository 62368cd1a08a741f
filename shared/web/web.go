// Package web is what the vote and the result page share: the stylesheet, icons and small modules under static/, the
// pieces of HTML in fragments.qtpl, the handler that serves static files, and the security headers.
//
// A page merges its own static files with the shared ones by Assets and answers with Render. Everything a page loads
// comes from its own origin, and nothing in it is inline, so the content security policy needs no exception.
//
// The pages are quicktemplate's .qtpl files, plain HTML with typed parameters, which go generate compiles to Go. They are
// not html/template's because that one calls methods by names that are known only when it runs: the linker then has to
// keep every exported method of every type in use, which added 6 and 13 MB to the two programs. In return
//
//   - {%s x %} escapes for the text of an element and for a quoted attribute, and knows nothing else. So every attribute
//     is quoted, nothing dynamic stands inside a script or style element, and an address is checked before it gets here.
//   - {%s= x %} would not escape, and is used nowhere. {%= f() %} calls another template, which has escaped already.
package web

import (
	"embed"
	"io"
	"net/http"
	"strings"
)

//go:generate go tool qtc

//go:embed static
var shared embed.FS

// Render answers with the HTML document, which no cache keeps.
func Render(w http.ResponseWriter, status int, document string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, document) // the client is gone if this fails
}

// Label gives the word with a capital first letter.
func Label(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
