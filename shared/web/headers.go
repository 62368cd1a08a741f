package web

import (
	"maps"
	"net/http"
	"strings"
)

// SecurityHeaders sets on every answer of next what keeps a page to itself: it loads from its own origin only, connects
// to no other (see [AllowConnect]), runs nothing inline, is framed by nobody and posts forms to nobody else.
func SecurityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), protections)
		next.ServeHTTP(w, r)
	})
}

// protections are shared by all answers: replace a header's value, never write into it.
var protections = http.Header{
	policyHeader:             {policy},
	"X-Content-Type-Options": {"nosniff"},
	// Not no-referrer: under that policy a browser sends "Origin: null" with the page's own form.
	"Referrer-Policy":            {"same-origin"},
	"Cross-Origin-Opener-Policy": {"same-origin"},
	"Permissions-Policy":         {"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
}

// AllowConnect lets the scripts of the page that is being answered connect to one more origin. The zero Origin changes
// nothing.
func AllowConnect(w http.ResponseWriter, origin Origin) {
	if origin.value != "" {
		w.Header().Set(policyHeader, strings.Replace(policy, connectSelf, connectSelf+" "+origin.value, 1))
	}
}

const (
	policyHeader = "Content-Security-Policy"
	connectSelf  = "connect-src 'self'"
	policy       = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " + connectSelf +
		"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
