package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestRenderAnswersWithTheDocumentThatNoCacheKeeps(t *testing.T) {
	w := httptest.NewRecorder()
	Render(w, http.StatusNotFound, "<p>gone</p>")
	header := w.Header()
	if w.Code != http.StatusNotFound || w.Body.String() != "<p>gone</p>" ||
		header.Get("Content-Type") != "text/html; charset=utf-8" || header.Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, header %v, %q", w.Code, header, w.Body)
	}
}

func TestFragmentsNameTheVersionedFilesAndEscapeTheRest(t *testing.T) {
	a := Assets(fstest.MapFS{}, "")
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

func TestATimeThatTheClocksContradictIsLeftOut(t *testing.T) {
	now := time.Now()
	for apart, want := range map[time.Duration]string{
		-time.Second: "", -900 * time.Microsecond: "0 ms", 1500 * time.Millisecond: "1500 ms", 90 * time.Second: "90 s",
		5 * time.Minute: "5 min", 3 * time.Hour: "3 h",
	} {
		if got := After(now, now.Add(apart)); got != want {
			t.Errorf("%v: %q, want %q", apart, got, want)
		}
	}
	if After(time.Time{}, now) != "" || After(now, time.Time{}) != "" {
		t.Error("an unknown time is given")
	}
}
