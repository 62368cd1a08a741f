// Package archtest checks how packages may depend on each other, and that generated code is up to date.
package archtest

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	qtpl "github.com/valyala/quicktemplate/parser"
)

const module = "petvote/"

// pkg is a package's code without its tests, for all operating systems together.
type pkg struct {
	name    string
	imports []string
	exits   []string // where it calls os.Exit or log.Fatal
}

var exit = regexp.MustCompile(`^(os\.Exit|log\.Fatal(f|ln)?)$`)

// load reads the packages of a tree, by their import paths.
func load(tree fs.FS) (map[string]*pkg, error) {
	pkgs := map[string]*pkg{}
	files := token.NewFileSet()
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
			p.imports = append(p.imports, strings.Trim(i.Path.Value, `"`))
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && exit.MatchString(types.ExprString(s)) {
				p.exits = append(p.exits, files.Position(s.Pos()).String())
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
		if chain := reaches(pkgs, from, from, map[string]bool{}); chain != nil {
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

var (
	telemetry = regexp.MustCompile(`^go\.opentelemetry\.io/|^petvote/observability(/|$)`)
	policy    = regexp.MustCompile(`^petvote/shared/resilience(/|$)`)
	adapter   = regexp.MustCompile(`^petvote/shared/(votestore|votestream)(/|$)`)
	service   = regexp.MustCompile(`^petvote/services/[^/]+`)
)

// forbidden reports whether a package must not reach another.
func forbidden(from, to string) bool {
	switch {
	case strings.HasPrefix(from, module+"shared/"):
		return telemetry.MatchString(to) || adapter.MatchString(from) && policy.MatchString(to)
	case service.MatchString(from):
		return service.MatchString(to) && service.FindString(to) != service.FindString(from)
	}
	return false
}

// reaches returns the chain of imports, through packages of this module, from one of them to a package that is
// forbidden for the first one, or nil.
func reaches(pkgs map[string]*pkg, first, from string, seen map[string]bool) []string {
	if seen[from] || pkgs[from] == nil {
		return nil
	}
	seen[from] = true
	for _, to := range pkgs[from].imports {
		if forbidden(first, to) {
			return []string{from, to}
		}
		if rest := reaches(pkgs, first, to, seen); rest != nil {
			return append([]string{from}, rest...)
		}
	}
	return nil
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
	tree := os.DirFS("../..")
	shared, _ := fs.Glob(tree, "shared/*/*.qtpl") // the patterns are well-formed
	services, _ := fs.Glob(tree, "services/*/*/*.qtpl")
	if len(shared) == 0 || len(services) == 0 {
		t.Fatalf("templates: %q and %q", shared, services)
	}
	for _, file := range slices.Concat(shared, services) {
		source, err := fs.ReadFile(tree, file)
		if err != nil {
			t.Fatal(err)
		}
		var generated bytes.Buffer
		if err := qtpl.Parse(&generated, bytes.NewReader(source), path.Base(file), path.Base(path.Dir(file))); err != nil {
			t.Fatal(err)
		}
		want, err := format.Source(generated.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := fs.ReadFile(tree, file+".go"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s.go is not what its template compiles to (%v): run go generate ./shared/... ./services/...",
				file, err)
		}
	}
}
