package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
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
			AllowConnect(w, address)
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

func TestAnOriginHoldsNothingThatCouldExtendAPolicy(t *testing.T) {
	for _, address := range []string{
		"", "results.example", "/votes", "ftp://results.example", "javascript:alert(1)", "http://",
		"http://user@results.example", "http://results.example;script-src *", "http://*",
		"http://results.example, http://other.example", "http://a b", "//results.example;script-src *",
		"//user@results.example/", "http://[::1]:8085",
	} {
		if origin := originOf(address); origin != "" {
			t.Errorf("originOf(%q) = %q, want none", address, origin)
		}
	}
}

// unzipped returns the body of an answer, and whether it was compressed.
func unzipped(t *testing.T, w *httptest.ResponseRecorder) (body []byte, compressed bool) {
	t.Helper()
	if w.Header().Get("Content-Encoding") != "gzip" {
		return w.Body.Bytes(), false
	}
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return body, true
}

func wantVary(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if !slices.Contains(w.Header().Values("Vary"), "Accept-Encoding") {
		t.Errorf("Vary: %q", w.Header().Values("Vary"))
	}
}

func TestTextIsCompressedForClientsThatAcceptIt(t *testing.T) {
	long := bytes.Repeat([]byte("dogs cats lizards "), 100)
	for _, c := range []struct {
		contentType, accepts string
		body                 []byte
		want                 bool
	}{
		{"text/html; charset=utf-8", "gzip, deflate, br, zstd", long, true},
		{"text/css; charset=utf-8", "gzip", long, true},
		{"text/javascript; charset=utf-8", "gzip", long, true},
		{"image/svg+xml", "gzip", long, true},
		{"application/json", "gzip", long, true},
		{"application/json", "", long, false},
		{"application/json", "gzip;q=0", long, false},
		{"application/json", "br", long, false},
		{"application/json", "gzip", long[:100], false},
		{"image/png", "gzip", long, false},
		{"text/event-stream", "gzip", long, false},
	} {
		h := Compress(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.contentType)
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write(c.body)
		}))
		w := get(h, "/", "Accept-Encoding", c.accepts)
		if w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != c.contentType {
			t.Errorf("%s: status %d, Content-Type %q", c.contentType, w.Code, w.Header().Get("Content-Type"))
		}
		wantVary(t, w)
		sent := w.Body.Len()
		body, compressed := unzipped(t, w)
		if compressed != c.want || !bytes.Equal(body, c.body) || compressed && sent > len(c.body)/2 {
			t.Errorf("%s of %d bytes for %q: compressed %v to %d, want %v",
				c.contentType, len(c.body), c.accepts, compressed, sent, c.want)
		}
	}
}

func TestAnEventIsSentAtOnceThoughItCouldBeCompressed(t *testing.T) {
	const event = "data: 1\n\n"
	read := make(chan struct{})
	server := httptest.NewServer(Compress(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, event)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-read
	})))
	defer server.Close()
	resp, err := server.Client().Get(server.URL) // its transport accepts gzip
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got := make([]byte, len(event))
	_, err = io.ReadFull(resp.Body, got)
	close(read)
	if err != nil || resp.Uncompressed || string(got) != event {
		t.Errorf("%q, %v, compressed %v", got, err, resp.Uncompressed)
	}
}

func TestACompressedAssetIsNotSentAgainUnlessItChanged(t *testing.T) {
	a := Assets(fstest.MapFS{}, "")
	h := Compress(a)
	u := a.URL("base.css")
	w := get(h, u, "Accept-Encoding", "gzip")
	etag := w.Header().Get("ETag")
	if body, compressed := unzipped(t, w); !compressed || !bytes.Equal(body, get(a, u).Body.Bytes()) {
		t.Errorf("compressed %v, %d bytes", compressed, len(body))
	}
	// A strong ETag would mean that the compressed and the plain answer are the same bytes (RFC 9110, section 8.8.1).
	if !strings.HasPrefix(etag, `W/"`) || etag != get(h, u).Header().Get("ETag") {
		t.Errorf("ETag %q", etag)
	}
	for _, accepts := range []string{"gzip", ""} {
		w := get(h, u, "Accept-Encoding", accepts, "If-None-Match", etag)
		if w.Code != http.StatusNotModified || w.Body.Len() != 0 ||
			w.Header().Get("Content-Encoding") != "" || w.Header().Get("ETag") != etag {
			t.Errorf("accepting %q: status %d with %d bytes, header %v", accepts, w.Code, w.Body.Len(), w.Header())
		}
		wantVary(t, w)
		if w := get(h, u, "Accept-Encoding", accepts, "If-None-Match", `W/"other"`); w.Code != http.StatusOK {
			t.Errorf("with another ETag: status %d", w.Code)
		}
	}
	w = get(h, u, "Accept-Encoding", "gzip", "Range", "bytes=0-1999") // a part is sent uncompressed
	if w.Code != http.StatusPartialContent || w.Header().Get("Content-Encoding") != "" || w.Body.Len() != 2000 {
		t.Errorf("a range: status %d, header %v, %d bytes", w.Code, w.Header(), w.Body.Len())
	}
}

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
	if got := Sibling(":18085/pets", "pets.example:18084", 8085); got != (Link{"//pets.example:18085/pets/", 18085}) {
		t.Errorf("another port and a path: %+v", got)
	}
	if got := Sibling("https://pets.example", "localhost:8084", 8085); got != (Link{Href: "https://pets.example/"}) {
		t.Errorf("configured: %+v", got)
	}
}
