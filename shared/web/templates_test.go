package web

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// templates returns every template of the repository, by its path: the shared ones and those of the services.
func templates(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"*.qtpl", "../../services/*/web/*.qtpl"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %d templates, %v", pattern, len(paths), err)
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

// The generator escapes for text and quoted attributes, unless told not to, wherever the value is.
func TestTemplatesHaveNoPlaceWhereEscapingIsNotEnough(t *testing.T) {
	for problem, pattern := range map[string]string{
		"unescaped output":                   `\{%-?\s*[a-z]+=`,
		"a dynamic attribute without quotes": `=\s*\{%`,
		"a dynamic name of a tag":            `<\s*/?\s*\{%`,
		"an inline script or style":          `<style|\sstyle=|\son\w+=|<script(?:[^>%]|%[^>}]|\{%.*?%\})*>[^<]`,
		"a comment":                          `<!--`,
	} {
		for path, text := range templates(t) {
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
	for path, text := range templates(t) {
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
			_, errOwn := os.Stat(filepath.Join(filepath.Dir(path), "static", name[1]))
			_, errShared := os.Stat(filepath.Join("static", name[1]))
			if errOwn != nil && errShared != nil {
				t.Errorf("%s names %s, which is in no static folder", path, name[1])
			}
		}
	}
}
