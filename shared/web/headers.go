package web

import (
	"net/http"
	"strings"
)

// SecurityHeaders sets on every answer of next what keeps a page to itself: it loads from its own origin only, runs
// nothing inline, is framed by nobody and posts forms to nobody else. Scripts may connect to the page's own origin and
// to each origin in connect.
func SecurityHeaders(next http.Handler, connect ...Origin) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		SetSecurityHeaders(w.Header(), connect...)
		next.ServeHTTP(w, r)
	})
}

// SetSecurityHeaders sets the same headers on one answer, replacing what is there.
func SetSecurityHeaders(h http.Header, connect ...Origin) {
	h.Set("Content-Security-Policy", contentSecurityPolicy(connect))
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: under that policy a browser sends "Origin: null" with the page's own form.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
}

func contentSecurityPolicy(connect []Origin) string {
	sources := []string{"'self'"}
	for _, origin := range connect {
		if origin.value != "" {
			sources = append(sources, origin.value)
		}
	}
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"style-src 'self'",
		"img-src 'self' data:",
		"connect-src " + strings.Join(sources, " "),
		"form-action 'self'",
		"base-uri 'none'",
		"frame-ancestors 'none'",
	}, "; ")
}
