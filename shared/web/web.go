// Package web is what the vote and the result page share: the stylesheet, icons and small modules under static/, the
// template fragments under templates/, the handler that serves static files, and the security headers.
//
// A page embeds its own templates and static files, merges the static ones with the shared ones by Assets, parses its
// templates by AssetSet.Templates and answers with Render. Everything a page loads comes from its own origin, and
// nothing in it is inline, so the content security policy needs no exception.
package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed static templates
var shared embed.FS

// Templates parses the shared fragments and then the named templates of fsys. Besides the standard functions they have
//
//	asset "base.css"   the versioned URL of a static file; an unknown name is an error of the rendering
//	label "dogs"       the word with a capital first letter
func (a *AssetSet) Templates(fsys fs.FS, patterns ...string) (*template.Template, error) {
	t := template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"asset": a.URL,
		"label": label,
	})
	if _, err := t.ParseFS(shared, "templates/*.html"); err != nil {
		return nil, fmt.Errorf("parse shared templates: %w", err)
	}
	if _, err := t.ParseFS(fsys, patterns...); err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	return t, nil
}

// Render answers with the named template as an HTML document that no cache keeps. The document is built before the first
// byte leaves, so after an error nothing has been written and the caller can still answer otherwise. A client that has
// gone away is not an error.
func Render(w http.ResponseWriter, status int, t *template.Template, name string, data any) error {
	var document bytes.Buffer
	if err := t.ExecuteTemplate(&document, name, data); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(document.Bytes())
	return nil
}

func label(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
