// Package archtest checks how packages may depend on each other, and that generated code is up to date.
package archtest

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	qtpl "github.com/valyala/quicktemplate/parser"
)

const (
	module = "petvote/"
	otel   = "go.opentelemetry.io/"
)

// pkg is a package's code without its tests, for all operating systems together.
type pkg struct {
	name    string
	imports []string
	exits   []string // where it calls os.Exit or log.Fatal
}

// load reads the packages of a tree, by their import paths.
func load(tree fs.FS) (map[string]*pkg, error) {
	pkgs := map[string]*pkg{}
	err := fs.WalkDir(tree, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		source, err := fs.ReadFile(tree, file)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, file, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p := pkgs[module+path.Dir(file)]
		if p == nil {
			p = &pkg{name: parsed.Name.Name}
			pkgs[module+path.Dir(file)] = p
		}
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			p.imports = append(p.imports, imported)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				x, ok := s.X.(*ast.Ident)
				if ok && (x.Name == "os" && s.Sel.Name == "Exit" || x.Name == "log" && strings.HasPrefix(s.Sel.Name, "Fatal")) {
					p.exits = append(p.exits, files.Position(s.Pos()).String())
				}
			}
			return true
		})
		return nil
	})
	return pkgs, err
}

// violations names every break of a rule, with the chain of imports that leads to it.
func violations(pkgs map[string]*pkg) (found []string) {
	for _, from := range slices.Sorted(maps.Keys(pkgs)) {
		forbidden := func(string) bool { return false }
		switch {
		case strings.HasPrefix(from, module+"shared/votestore"), strings.HasPrefix(from, module+"shared/votestream"):
			forbidden = func(to string) bool { return isTelemetry(to) || within(to, module+"shared/resilience") }
		case strings.HasPrefix(from, module+"shared/"):
			forbidden = isTelemetry
		case strings.HasPrefix(from, module+"services/"):
			forbidden = func(to string) bool {
				return strings.HasPrefix(to, module+"services/") && service(to) != service(from)
			}
		}
		if chain := reaches(pkgs, from, forbidden, map[string]bool{}); chain != nil {
			found = append(found, strings.Join(chain, " imports "))
		}
		if p := pkgs[from]; p.name != "main" {
			for _, position := range p.exits {
				found = append(found, position+" exits, which only main may")
			}
		}
	}
	return found
}

// reaches returns the chain of imports, through packages of this module, from one package to a forbidden one, or nil.
func reaches(pkgs map[string]*pkg, from string, forbidden func(string) bool, seen map[string]bool) []string {
	if seen[from] || pkgs[from] == nil {
		return nil
	}
	seen[from] = true
	for _, to := range pkgs[from].imports {
		if forbidden(to) {
			return []string{from, to}
		}
		if rest := reaches(pkgs, to, forbidden, seen); rest != nil {
			return append([]string{from}, rest...)
		}
	}
	return nil
}

func isTelemetry(to string) bool {
	return strings.HasPrefix(to, otel) || within(to, module+"observability")
}

func within(to, folder string) bool { return to == folder || strings.HasPrefix(to, folder+"/") }

// service is the service's name in the path of one of its packages.
func service(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, module+"services/"), "/")
	return name
}

func TestPackagesDependOnEachOtherOnlyAsTheDesignAllows(t *testing.T) {
	pkgs, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if pkgs[module+"services/vote"] == nil || pkgs[module+"shared/ballot"] == nil {
		t.Fatal("the repository's packages were not found")
	}
	for _, v := range violations(pkgs) {
		t.Error(v)
	}
}

func TestABreakOfEachRuleIsFound(t *testing.T) {
	for name, c := range map[string]struct{ file, source, want string }{
		"OpenTelemetry in shared": {"shared/web/web.go", `package web; import "go.opentelemetry.io/otel"`,
			"petvote/shared/web imports go.opentelemetry.io/otel"},
		"telemetry in shared by way of another package": {"shared/web/web.go", `package web; import "petvote/infra/far"`,
			"petvote/shared/web imports petvote/infra/far imports petvote/observability/telemetry"},
		"a service in a service": {"services/vote/web/page.go", `package web; import "petvote/services/result/web"`,
			"petvote/services/vote/web imports petvote/services/result/web"},
		"the policy in the queue": {"shared/votestream/queue.go", `package votestream; import "petvote/shared/resilience"`,
			"petvote/shared/votestream imports petvote/shared/resilience"},
		"the policy in the store": {"shared/votestore/store.go", `package votestore; import "petvote/shared/lifecycle"`,
			"petvote/shared/votestore imports petvote/shared/lifecycle imports petvote/shared/resilience"},
		"os.Exit outside of main": {"shared/web/web.go", `package web; import "os"; func f() { os.Exit(1) }`,
			"shared/web/web.go:1:38 exits, which only main may"},
		"log.Fatal outside of main": {"infra/far/far.go", `package far; import "log"; func f() { log.Fatalf("") }`,
			"infra/far/far.go:1:39 exits, which only main may"},
		"a test may exit":             {"shared/web/main_test.go", `package web; import "os"; func f() { os.Exit(1) }`, ""},
		"so may main":                 {"services/vote/main.go", `package main; import "os"; func main() { os.Exit(1) }`, ""},
		"a service may have packages": {"services/vote/main.go", `package main; import "petvote/services/vote/web"`, ""},
	} {
		tree := fstest.MapFS{
			"infra/far/far.go":              {Data: []byte(`package far; import "petvote/observability/telemetry"`)},
			"shared/lifecycle/lifecycle.go": {Data: []byte(`package lifecycle; import "petvote/shared/resilience"`)},
		}
		tree[c.file] = &fstest.MapFile{Data: []byte(c.source)}
		pkgs, err := load(tree)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(violations(pkgs), "; "); got != c.want {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
	}
}

func TestGeneratedPagesAreUpToDate(t *testing.T) {
	const root = "../.."
	var templates []string
	for _, pattern := range []string{"shared/*/*.qtpl", "services/*/*/*.qtpl"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no templates %s: %v", pattern, err)
		}
		templates = append(templates, found...)
	}
	for _, file := range templates {
		dir, name := filepath.Split(file)
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var generated bytes.Buffer
		if err := qtpl.Parse(&generated, bytes.NewReader(source), name, filepath.Base(dir)); err != nil {
			t.Fatal(err)
		}
		want, err := format.Source(generated.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file + ".go"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s.go is not what its template compiles to (%v): run go generate ./shared/... ./services/...", file, err)
		}
	}
}
