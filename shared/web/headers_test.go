package web

import (
	"net/http"
	"strings"
	"testing"
)

func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	result, err := OriginOf("http://results.example:8085/path?q")
	if err != nil {
		t.Fatal(err)
	}
	w := get(SecurityHeaders(http.NotFoundHandler(), result, Origin{}), "/")
	if w.Code != http.StatusNotFound {
		t.Errorf("status %d, want the one of the handler beneath", w.Code)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options":     "nosniff",
		"Referrer-Policy":            "same-origin",
		"Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if w.Header().Get("Permissions-Policy") == "" {
		t.Error("no Permissions-Policy")
	}

	policy := strings.Split(w.Header().Get("Content-Security-Policy"), "; ")
	for _, want := range []string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "base-uri 'none'",
		"frame-ancestors 'none'", "connect-src 'self' http://results.example:8085",
	} {
		found := false
		for _, directive := range policy {
			found = found || directive == want
		}
		if !found {
			t.Errorf("the policy %q lacks %q", policy, want)
		}
	}
}

func TestOriginOfTakesNothingThatCouldExtendAPolicy(t *testing.T) {
	for _, address := range []string{
		"", "results.example", "/votes", "ftp://results.example", "javascript:alert(1)", "http://", "http://user@results.example",
		"http://results.example;script-src *", "http://*", "http://results.example, http://other.example", "http://a b",
	} {
		if origin, err := OriginOf(address); err == nil {
			t.Errorf("OriginOf(%q) = %q, want an error", address, origin)
		}
	}
	for address, want := range map[string]string{
		"https://results.example/": "https://results.example",
		"http://[::1]:8085":        "http://[::1]:8085",
	} {
		if origin, err := OriginOf(address); err != nil || origin.String() != want {
			t.Errorf("OriginOf(%q) = %q, %v, want %q", address, origin, err, want)
		}
	}
}
