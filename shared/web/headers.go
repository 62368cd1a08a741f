package web

import (
	"net/http"
	"strings"
)

// SecurityHeaders sets on every answer of next what keeps a page to itself: it loads from its own origin only, runs
// nothing inline, is framed by nobody and posts forms to nobody else. Scripts may connect to the page's own origin and
// to each origin in connect.
func SecurityHeaders(next http.Handler, connect ...Origin) http.Handler {
	policy := contentSecurityPolicy(connect)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		// Not no-referrer: under that policy a browser sends "Origin: null" with the page's own form.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		next.ServeHTTP(w, r)
	})
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
