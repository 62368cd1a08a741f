package prometheus

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"petvote/infra/testenv"
)

// promtool runs Prometheus's own checker, of which nothing here takes the place.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		testenv.Missing(t, "promtool")
	}
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}

func rules(t *testing.T) []Rule {
	t.Helper()
	all, err := Rules(".")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPrometheusTakesItsConfiguration(t *testing.T) {
	promtool(t, "check", "config", "prometheus.yml")
	promtool(t, append([]string{"check", "rules"}, glob(t, "rules/*.yml")...)...)
}

func TestTheRulesDoWhatTheirTestsSay(t *testing.T) {
	for _, file := range glob(t, "tests/*.yml") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yml"), func(t *testing.T) {
			t.Parallel()
			promtool(t, "test", "rules", file)
		})
	}
}

func TestEveryAlertIsTestedFiringAndNot(t *testing.T) {
	firing, quiet := map[string]int{}, map[string]int{}
	for _, file := range glob(t, "tests/*.yml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var content struct {
			Tests []struct {
				AlertRuleTest []struct {
					Alertname string
					ExpAlerts []any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		if err := yaml.Unmarshal(text, &content); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, test := range content.Tests {
			for _, asked := range test.AlertRuleTest {
				if len(asked.ExpAlerts) > 0 {
					firing[asked.Alertname]++
				} else {
					quiet[asked.Alertname]++
				}
			}
		}
	}
	for _, r := range rules(t) {
		if r.Alert != "" && (firing[r.Alert] == 0 || quiet[r.Alert] == 0) {
			t.Errorf("%s is tested %d times firing and %d times not", r.Alert, firing[r.Alert], quiet[r.Alert])
		}
		delete(firing, r.Alert)
		delete(quiet, r.Alert)
	}
	if len(firing)+len(quiet) > 0 {
		t.Errorf("tests of alerts that don't exist, and so prove nothing: %v %v", firing, quiet)
	}
}

func TestEveryAlertSaysWhatToDo(t *testing.T) {
	const root = "../.."
	runbooks := map[string]bool{}
	for _, file := range glob(t, "../runbooks/*.md") {
		runbooks[strings.TrimSuffix(filepath.Base(file), ".md")] = true
	}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		if severity := r.Labels["severity"]; severity != "page" && severity != "ticket" {
			t.Errorf("%s has the severity %q", r.Alert, severity)
		}
		a := r.Annotations
		if a["summary"] == "" || !strings.Contains(a["description"], "$value") {
			t.Errorf("%s has no summary, or no description with the value: %q", r.Alert, a)
		}
		if want := "observability/runbooks/" + r.Alert + ".md"; a["runbook_url"] != want {
			t.Errorf("%s has the runbook %q, want %q", r.Alert, a["runbook_url"], want)
		}
		page, err := os.ReadFile(filepath.Join(root, "observability/runbooks", r.Alert+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.HasPrefix(string(page), "# "+r.Alert+"\n") {
			t.Errorf("the runbook of %s has another title", r.Alert)
		}
		delete(runbooks, r.Alert)
	}
	if len(runbooks) > 0 {
		t.Errorf("runbooks of alerts that don't exist: %v", slices.Sorted(maps.Keys(runbooks)))
	}
}

// A block without a language is PromQL, one query a line.
func TestTheRunbooksQueriesAreUnderstood(t *testing.T) {
	var queries strings.Builder
	queries.WriteString("groups:\n- name: runbooks\n  rules:\n")
	n := 0
	for _, file := range glob(t, "../runbooks/*.md") {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		language, inside := "", false
		for line := range strings.Lines(string(page)) {
			line = strings.TrimSpace(line)
			if fence, ok := strings.CutPrefix(line, "```"); ok {
				language, inside = fence, !inside
			} else if inside && language == "" && line != "" {
				fmt.Fprintf(&queries, "  - {record: 'query_%d', expr: '%s'}\n", n, strings.ReplaceAll(line, "'", "''"))
				n++
			}
		}
	}
	if n < len(glob(t, "../runbooks/*.md")) {
		t.Fatalf("found %d queries", n)
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, []byte(queries.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

func TestWhatARuleAsksForIsFound(t *testing.T) {
	tests := map[string][]Selector{
		`max(a_total)`:              {{Metric: "a_total"}},
		`sum by (le) (rate(b[5m]))`: {{Metric: "b"}},
		`a > 14.4 * 0.001 and on (job, x) increase(c{to="open", d!~"4.."}[1m]) >= 1e3 or vector(0)`: {
			{Metric: "a"}, {Metric: "c", Matchers: []Matcher{{"to", "=", "open"}, {"d", "!~", "4.."}}}},
		`label_replace(absent(job:d:e), "metric", "not_asked", "", "")`: {{Metric: "job:d:e"}},
		`f{route="/{$}"} unless (g or h)`:                               {{Metric: "f", Matchers: []Matcher{{"route", "=", "/{$}"}}}, {Metric: "g"}, {Metric: "h"}},
	}
	for expr, want := range tests {
		got := Rule{Expr: expr}.Selectors()
		if !slices.EqualFunc(got, want, func(a, b Selector) bool { return a.Metric == b.Metric && slices.Equal(a.Matchers, b.Matchers) }) {
			t.Errorf("%s asks for %+v, want %+v", expr, got, want)
		}
	}
	s := Selector{Metric: "a", Matchers: []Matcher{{"code", "=~", "5.."}, {"job", "!=", "x"}}}
	for _, tt := range []struct {
		metric, code, job string
		want              bool
	}{{"a", "503", "vote", true}, {"a", "1503", "vote", false}, {"a", "503", "x", false}, {"b", "503", "vote", false}, {"a", "", "vote", false}} {
		if got := s.Matches(tt.metric, map[string]string{"code": tt.code, "job": tt.job}); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}
