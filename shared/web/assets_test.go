package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func assetsOf(t *testing.T, files map[string]string) *AssetSet {
	t.Helper()
	a, err := Assets(mapFS(files))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mapFS(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, body := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(body)}
	}
	return fsys
}

func get(h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAssetsAreServedForEverUnderTheirVersion(t *testing.T) {
	a := assetsOf(t, map[string]string{"page.js": "export {}"})
	for name, contentType := range map[string]string{
		"page.js":  "text/javascript; charset=utf-8",
		"base.css": "text/css; charset=utf-8",
		"pets.svg": "image/svg+xml",
	} {
		w := get(a, a.URL(name))
		if w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: status %d with %d bytes", name, w.Code, w.Body.Len())
		}
		if got := w.Header().Get("Content-Type"); got != contentType {
			t.Errorf("%s: Content-Type %q, want %q", name, got, contentType)
		}
		if got := w.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
	}
}

func TestAnUnchangedAssetIsNotSentAgain(t *testing.T) {
	a := assetsOf(t, nil)
	u := a.URL("base.css")
	etag := get(a, u).Header().Get("ETag")
	if etag == "" {
		t.Fatal("no ETag")
	}
	if w := get(a, u, "If-None-Match", etag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("with its own ETag: status %d with %d bytes, want 304 with none", w.Code, w.Body.Len())
	}
	if w := get(a, u, "If-None-Match", `"other"`); w.Code != http.StatusOK {
		t.Errorf("with another ETag: status %d, want 200", w.Code)
	}
}

func TestAChangedAssetChangesTheVersionOfAll(t *testing.T) {
	one := assetsOf(t, map[string]string{"page.js": "1"})
	same := assetsOf(t, map[string]string{"page.js": "1"})
	other := assetsOf(t, map[string]string{"page.js": "2"})
	if one.URL("base.css") != same.URL("base.css") {
		t.Error("the same files have two versions")
	}
	if one.URL("base.css") == other.URL("base.css") {
		t.Error("different files have one version")
	}
}

func TestAnotherReleasesVersionIsServedButNotKept(t *testing.T) {
	w := get(assetsOf(t, nil), StaticPath+"0123456789abcdef/base.css")
	if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("status %d, Cache-Control %q, want 200 and no-cache", w.Code, w.Header().Get("Cache-Control"))
	}
}

func TestUnknownAssetsAreNotFound(t *testing.T) {
	a := assetsOf(t, nil)
	version := strings.TrimSuffix(a.URL("base.css"), "base.css")
	for _, path := range []string{StaticPath, version, version + "missing.css", version + "../assets.go", StaticPath + "base.css"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, w.Code)
		}
	}
}

func TestAssetsRefusesWhatItCouldNotServe(t *testing.T) {
	for problem, files := range map[string]map[string]string{
		"a name that occurs twice": {"base.css": ""},
		"an unknown type":          {"notes.txt": ""},
	} {
		if _, err := Assets(mapFS(files)); err == nil {
			t.Errorf("no error for %s", problem)
		}
	}
}

func TestTheIconIsServedWithItsType(t *testing.T) {
	w := get(http.HandlerFunc(assetsOf(t, nil).Icon), "/favicon.ico")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "image/svg+xml" {
		t.Errorf("status %d, Content-Type %q", w.Code, w.Header().Get("Content-Type"))
	}
}
