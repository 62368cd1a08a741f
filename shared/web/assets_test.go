package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func fileOf(body string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(body)} }

func get(h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL.Path = target
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAssetsAreServedWithTheirTypeAndCachedUnderTheirVersionOnly(t *testing.T) {
	a := Assets(fstest.MapFS{"folder/page.js": fileOf("export {}")}, "")
	mux := http.NewServeMux()
	a.Register(mux)
	const other, forEver = staticPath + "0123456789abcdef/", "public, max-age=31536000, immutable"
	for target, want := range map[string][2]string{ // Content-Type and Cache-Control
		a.URL("page.js"):   {"text/javascript; charset=utf-8", forEver},
		a.URL("base.css"):  {"text/css; charset=utf-8", forEver},
		a.URL("pets.svg"):  {"image/svg+xml", forEver},
		other + "base.css": {"text/css; charset=utf-8", "no-cache"}, // of another release
		"/favicon.ico":     {"image/svg+xml", "public, max-age=86400"},
	} {
		w := get(mux, target)
		if got := [2]string{w.Header().Get("Content-Type"), w.Header().Get("Cache-Control")}; got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
		if w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: status %d with %d bytes", target, w.Code, w.Body.Len())
		}
	}
	version := strings.TrimSuffix(a.URL("base.css"), "base.css")
	for _, path := range []string{
		staticPath, version, version + "missing.css", version + "../assets.go", staticPath + "base.css",
	} {
		if w := get(a, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, w.Code)
		}
	}
}

func TestAChangedAssetChangesTheVersionOfAll(t *testing.T) {
	with := func(page string) *AssetSet { return Assets(fstest.MapFS{"page.js": fileOf(page)}, "") }
	one, same, other := with("1"), with("1"), with("2")
	if one.URL("base.css") != same.URL("base.css") || one.URL("base.css") == other.URL("base.css") {
		t.Errorf("%s, %s, and with another file %s", one.URL("base.css"), same.URL("base.css"), other.URL("base.css"))
	}
}

func TestAssetsRefusesFilesThatItCouldNotServe(t *testing.T) {
	for _, name := range []string{"folder/base.css", "notes.txt"} { // occurs twice, of an unknown type
		if err := Assets(fstest.MapFS{}, "").read(fstest.MapFS{name: fileOf("")}); err == nil {
			t.Errorf("no error for %s", name)
		}
	}
}
