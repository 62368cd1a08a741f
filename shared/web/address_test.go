package web

import "testing"

func TestBaseURLHasNoTrailingSlash(t *testing.T) {
	for address, want := range map[string]string{
		"":                             "",
		"http://localhost:8085":        "http://localhost:8085",
		"http://localhost:8085/":       "http://localhost:8085",
		"https://pets.example/result/": "https://pets.example/result",
	} {
		if got, err := BaseURL(address); err != nil || got != want {
			t.Errorf("BaseURL(%q) = %q, %v, want %q", address, got, err, want)
		}
	}
	if got, err := BaseURL(`http://results.example/"><wince>`); err != nil || got != "http://results.example/%22%3E%3Cwince%3E" {
		t.Errorf("a path that would end an attribute: %q, %v", got, err)
	}
	for _, address := range []string{`http://results.example"><wince>`, "localhost:8085", "http://", "http://localhost:8085/?a=b", "http://localhost/#a", "javascript:alert(1)"} {
		if got, err := BaseURL(address); err == nil {
			t.Errorf("BaseURL(%q) = %q, want an error", address, got)
		}
	}
}

func TestSiblingURLKeepsTheHostAndChangesThePort(t *testing.T) {
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
		if got := SiblingURL(host, 8085); got != want {
			t.Errorf("SiblingURL(%q) = %q, want %q", host, got, want)
		}
	}
}
