package web

import (
	"maps"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// SecurityHeaders isolates the pages among next's answers: they load from their own origin only, connect to no other
// (see [AllowConnect]), run nothing inline, can't be framed, and post forms to their own origin only.
func SecurityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), securityHeaders)
		next.ServeHTTP(w, r)
	})
}

// securityHeaders are shared by all answers: replace a header's value, never write into it.
var securityHeaders = http.Header{
	policyHeader:             {policy},
	"X-Content-Type-Options": {"nosniff"},
	// Not no-referrer: under that policy a browser sends "Origin: null" with the page's own form.
	"Referrer-Policy":            {"same-origin"},
	"Cross-Origin-Opener-Policy": {"same-origin"},
	"Permissions-Policy":         {"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
}

// AllowConnect lets the scripts of this answer's page connect to the origin of one more address, if it has one that a
// policy can name.
func AllowConnect(w http.ResponseWriter, address string) {
	if origin := originOf(address); origin != "" {
		w.Header().Set(policyHeader, strings.Replace(policy, connectSelf, connectSelf+" "+origin, 1))
	}
}

const (
	policyHeader = "Content-Security-Policy"
	connectSelf  = "connect-src 'self'"
	policy       = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " + connectSelf +
		"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

// Compress gzips pages, static files and JSON for clients that accept it, and sets Vary on every answer. Requests other
// than GET and HEAD bypass it: their answers are small. It passes on the request it gets, so a wrapper sees the route.
func Compress(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false),
		gzhttp.MinSize(1024), // a smaller answer fits into one packet anyway
		gzhttp.ContentTypes([]string{ // not event streams, whose events are small and must be sent at once
			"text/html", "text/css", "text/javascript", "image/svg+xml", "application/json"}))
	if err != nil {
		panic(err) // only for contradictory options, which these constants are not
	}
	compressed := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			compressed(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
