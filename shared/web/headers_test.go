package web

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	w := get(SecurityHeaders(http.NotFoundHandler()), "/")
	if w.Code != http.StatusNotFound || w.Header().Get("Permissions-Policy") == "" {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestAPageConnectsToItsOwnOriginAndToOneMoreIfItIsAllowed(t *testing.T) {
	for address, connect := range map[string]string{
		"http://results.example:8085/path?q": "connect-src 'self' http://results.example:8085",
		"//pets.example:8085/":               "connect-src 'self' pets.example:8085",
		"//[::1]:8085/":                      "connect-src 'self'",
		"":                                   "connect-src 'self'",
	} {
		w := get(SecurityHeaders(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			AllowConnect(w, OriginOf(address))
		})), "/")
		policy := strings.Split(w.Header().Get("Content-Security-Policy"), "; ")
		for _, want := range []string{
			"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "base-uri 'none'",
			"frame-ancestors 'none'", connect,
		} {
			if !slices.Contains(policy, want) {
				t.Errorf("%q: the policy %q lacks %q", address, policy, want)
			}
		}
	}
}

func TestOriginOfTakesNothingThatCouldExtendAPolicy(t *testing.T) {
	for _, address := range []string{
		"", "results.example", "/votes", "ftp://results.example", "javascript:alert(1)", "http://",
		"http://user@results.example", "http://results.example;script-src *", "http://*",
		"http://results.example, http://other.example", "http://a b", "//results.example;script-src *",
		"//user@results.example/", "http://[::1]:8085",
	} {
		if origin := OriginOf(address); origin != (Origin{}) {
			t.Errorf("OriginOf(%q) = %q, want none", address, origin.value)
		}
	}
}
