package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRenderAnswersWithTheDocumentThatNoCacheKeeps(t *testing.T) {
	w := httptest.NewRecorder()
	Render(w, http.StatusNotFound, "<p>gone</p>")
	if w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
	if got := w.Body.String(); got != "<p>gone</p>" {
		t.Errorf("the document is %q", got)
	}
}

func TestFragmentsNameTheVersionedFilesAndEscapeTheRest(t *testing.T) {
	a := assetsOf(t, nil)
	if head := a.Head(); !strings.Contains(head, `href="`+a.URL("base.css")+`"`) {
		t.Errorf("the head lacks the stylesheet:\n%s", head)
	}
	if icon := a.PetIcon("dogs"); !strings.Contains(icon, `href="`+a.URL("pets.svg")+`#dogs"`) {
		t.Errorf("the icon lacks its picture: %s", icon)
	}
	if icon := a.PetIcon(`"'><wince>&`); !strings.Contains(icon, `#&quot;&#39;&gt;&lt;wince&gt;&amp;"`) {
		t.Errorf("unescaped: %s", icon)
	}
}
