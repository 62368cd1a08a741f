package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRenderAnswersWithTheEscapedDocument(t *testing.T) {
	a := assetsOf(t, nil)
	templates, err := a.Templates(mapFS(map[string]string{"p.html": `{{template "head"}}<p>{{label .}}</p>`}), "*.html")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := Render(w, http.StatusNotFound, templates, "p.html", "a<b>"); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
	for _, want := range []string{"<p>A&lt;b&gt;</p>", urlOf(t, a, "base.css")} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the document lacks %q:\n%s", want, w.Body)
		}
	}
}

func TestRenderWritesNothingAfterAnError(t *testing.T) {
	templates, err := assetsOf(t, nil).Templates(mapFS(map[string]string{"p.html": `<p>begun{{asset "missing.css"}}`}), "*.html")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := Render(w, http.StatusOK, templates, "p.html", nil); err == nil {
		t.Fatal("no error for a missing file")
	}
	if w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("wrote %q with header %v", w.Body, w.Header())
	}
}
