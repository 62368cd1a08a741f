package web

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// filesOf returns the texts of the shared files and of the services' pages that match a pattern, by their paths.
func filesOf(t *testing.T, pattern string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, folder := range []string{"", "../../services/*/web/"} {
		paths, err := filepath.Glob(folder + pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s%s: %d files, %v", folder, pattern, len(paths), err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found[path] = string(text)
		}
	}
	return found
}

// wantStatic checks that a file of a page has the static file that it names.
func wantStatic(t *testing.T, path, page, name string) {
	t.Helper()
	_, errOwn := os.Stat(filepath.Join(page, "static", name))
	_, errShared := os.Stat(filepath.Join("static", name))
	if errOwn != nil && errShared != nil {
		t.Errorf("%s names %s, which is in no static folder", path, name)
	}
}

// The generator escapes for text and quoted attributes, unless a template opts out, wherever the value is.
func TestTemplatesHaveNoPlaceWhereEscapingIsNotEnough(t *testing.T) {
	for problem, pattern := range map[string]string{
		"unescaped output":                   `\{%-?\s*[a-z]+=`,
		"a dynamic attribute without quotes": `=\s*\{%`,
		"a dynamic name of a tag":            `<\s*/?\s*\{%`,
		"an inline script or style":          `<style|\sstyle=|\son\w+=|<script(?:[^>%]|%[^>}]|\{%.*?%\})*>[^<]`,
		"a comment":                          `<!--`,
		"a file from elsewhere":              `(?:src|<link[^>]*href)="(?:https?:)?//`,
	} {
		for path, text := range filesOf(t, "*.qtpl") {
			if found := regexp.MustCompile(pattern).FindString(text); found != "" {
				t.Errorf("%s has %s: %q", path, problem, found)
			}
		}
	}
}

func TestTemplatesNameOnlyFilesThatAreThere(t *testing.T) {
	literal := regexp.MustCompile(`\.URL\("([^"]+)"\)`)
	modules := regexp.MustCompile(`\.Module\(("[^)]+")\)`)
	const byParameter = 2 // in Module, whose callers are checked instead
	for path, text := range filesOf(t, "*.qtpl") {
		names := literal.FindAllStringSubmatch(text, -1)
		unread := strings.Count(text, ".URL(") - len(names)
		if filepath.Base(path) == "fragments.qtpl" {
			unread -= byParameter
		}
		if unread != 0 {
			t.Errorf("%s names %d files in a way that this test can't read", path, unread)
		}
		for _, call := range modules.FindAllStringSubmatch(text, -1) {
			names = append(names, regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(call[1], -1)...)
		}
		for _, name := range names {
			wantStatic(t, path, filepath.Dir(path), name[1])
		}
	}
}

func TestModulesAndStylesheetsNameOnlyFilesThatAreThere(t *testing.T) {
	names := regexp.MustCompile(`(?:from '\./|import '\./|url\(")([^'"]+)`)
	for path, text := range filesOf(t, "static/*.[jc]s*") {
		for _, name := range names.FindAllStringSubmatch(text, -1) {
			wantStatic(t, path, filepath.Dir(filepath.Dir(path)), name[1])
		}
	}
}
