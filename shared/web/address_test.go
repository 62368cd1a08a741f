package web

import "testing"

func TestASiblingIsOnTheSameHostUnlessItsAddressIsConfigured(t *testing.T) {
	for host, want := range map[string]string{
		"localhost:8084":       "//localhost:8085/",
		"pets.example":         "//pets.example:8085/",
		"192.0.2.7:8084":       "//192.0.2.7:8085/",
		"[::1]:8084":           "//[::1]:8085/",
		"[2001:db8::7]":        "//[2001:db8::7]:8085/",
		"":                     "//localhost:8085/",
		"evil/path:80":         "//localhost:8085/",
		`a"><script>:80`:       "//localhost:8085/",
		"user@evil.example:80": "//localhost:8085/",
	} {
		if got := Sibling("", host, 8085); got != (Link{want, 8085}) {
			t.Errorf("%q: %+v, want %q", host, got, want)
		}
	}
	if got := Sibling("https://pets.example", "localhost:8084", 8085); got != (Link{Href: "https://pets.example/"}) {
		t.Errorf("configured: %+v", got)
	}
}
