// Package report shows the record of a run: as report.json, as an HTML file that needs nothing but itself, and in the
// terminal.
package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"

	"petvote/scripts/chaos/record"
	"petvote/shared/ballot"
	"petvote/shared/web"
)

// The page is well-formed XML besides being HTML. Its one script only shows the numbers under the pointer.
var (
	//go:embed report.html.tmpl
	pageSource string
	//go:embed report.css
	ownStyle string

	// pageStyle begins with the tokens and elements of the product's pages.
	pageStyle = template.CSS(strings.SplitN(web.BaseCSS, "/* Parts */", 2)[0] + ownStyle)

	pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
		"n": func(n any) string {
			if n, ok := n.(int64); ok {
				return ballot.Digits(n)
			}
			return ballot.Digits(n.(int))
		},
		"took": seconds, "recoveredIn": recoveredIn, "recovery": recovery, "times": times, "chart": newChart,
		"headline": headline, "note": note, "sum": sum, "style": func() template.CSS { return pageStyle },
		"tone":    func(verdict string) tone { return tones[verdict] },
		"percent": func(part float64) float64 { return 100 * part },
		"add":     func(a, b int) int { return a + b },
	}).Parse(pageSource))
)

// Write writes report.json and report.html to a folder.
func Write(dir string, r *record.Run) error {
	data, err := json.MarshalIndent(r, "", "  ")
	var html bytes.Buffer
	if err == nil {
		err = pageTemplate.Execute(&html, r)
	}
	if err == nil { // the numbers first: they are worth something without the page
		err = errors.Join(os.WriteFile(filepath.Join(dir, "report.json"), append(data, '\n'), 0o644),
			os.WriteFile(filepath.Join(dir, "report.html"), html.Bytes(), 0o644))
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
