// Package prometheus tests the configuration and the rules of Prometheus.
package prometheus

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"petvote/infra/testenv"
)

// promtool is Prometheus's own checker.
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

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	testenv.Must(t, err)
	return string(text)
}

// content is a file of rules or of their tests.
type content struct {
	Groups []struct{ Rules []alert }
	Tests  []struct {
		AlertRuleTest []struct {
			Alertname string
			ExpAlerts []any `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	}
}

type alert struct {
	Alert               string
	Labels, Annotations map[string]string
}

func decode(t *testing.T, file string) (c content) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, file)), &c); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return c
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	for _, group := range decode(t, "rules/alerts.yml").Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("no alerts")
	}
	return all
}

func TestPrometheusAcceptsItsConfiguration(t *testing.T) {
	promtool(t, "check", "config", "prometheus.yml")
	promtool(t, append([]string{"check", "rules"}, testenv.Glob(t, "rules/*.yml")...)...)
}

func TestTheRulesPassTheirTests(t *testing.T) {
	for _, file := range testenv.Glob(t, "tests/*.yml") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yml"), func(t *testing.T) {
			t.Parallel()
			if strings.HasSuffix(file, "_long.yml") {
				testenv.Slow(t)
			}
			promtool(t, "test", "rules", file)
		})
	}
}

func TestEveryAlertIsTestedFiringAndNot(t *testing.T) {
	firing, quiet := map[string]int{}, map[string]int{}
	for _, file := range testenv.Glob(t, "tests/*.yml") {
		for _, test := range decode(t, file).Tests {
			for _, a := range test.AlertRuleTest {
				if len(a.ExpAlerts) > 0 {
					firing[a.Alertname]++
				} else {
					quiet[a.Alertname]++
				}
			}
		}
	}
	for _, a := range alerts(t) {
		if firing[a.Alert] == 0 || quiet[a.Alert] == 0 {
			t.Errorf("%s is tested %d times firing and %d times not", a.Alert, firing[a.Alert], quiet[a.Alert])
		}
		delete(firing, a.Alert)
		delete(quiet, a.Alert)
	}
	if len(firing)+len(quiet) > 0 {
		t.Errorf("tests of alerts that don't exist: %v %v", firing, quiet)
	}
}

func TestEveryAlertHasASeverityADescriptionAndARunbook(t *testing.T) {
	runbooks := map[string]bool{}
	for _, file := range testenv.Glob(t, "../runbooks/*.md") {
		runbooks["observability/runbooks/"+filepath.Base(file)] = true
	}
	for _, a := range alerts(t) {
		if severity := a.Labels["severity"]; severity != "page" && severity != "ticket" {
			t.Errorf("%s has the severity %q", a.Alert, severity)
		}
		if a.Annotations["summary"] == "" || !strings.Contains(a.Annotations["description"], "$value") {
			t.Errorf("%s has no summary, or no description with the value: %q", a.Alert, a.Annotations)
		}
		runbook := "observability/runbooks/" + a.Alert + ".md"
		if got := a.Annotations["runbook_url"]; got != runbook || !runbooks[runbook] {
			t.Errorf("%s has the runbook %q, want %q, which exists: %v", a.Alert, got, runbook, runbooks[runbook])
		} else if !strings.HasPrefix(read(t, "../../"+runbook), "# "+a.Alert+"\n") {
			t.Errorf("the title of %s's runbook is not the alert's name", a.Alert)
		}
		delete(runbooks, runbook)
	}
	if len(runbooks) > 0 {
		t.Errorf("runbooks of alerts that don't exist: %v", runbooks)
	}
}

// A code block without a language is PromQL, one query a line.
func TestTheRunbooksQueriesAreValid(t *testing.T) {
	var queries strings.Builder
	queries.WriteString("groups:\n- name: runbooks\n  rules:\n")
	n, files := 0, testenv.Glob(t, "../runbooks/*.md")
	for _, file := range files {
		language, inside := "", false
		for line := range strings.Lines(read(t, file)) {
			line = strings.TrimSpace(line)
			if fence, ok := strings.CutPrefix(line, "```"); ok {
				language, inside = fence, !inside
			} else if inside && language == "" && line != "" {
				fmt.Fprintf(&queries, "  - {record: 'query_%d', expr: '%s'}\n", n, strings.ReplaceAll(line, "'", "''"))
				n++
			}
		}
	}
	if n < len(files) {
		t.Fatalf("found %d queries in %d runbooks", n, len(files))
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	testenv.Must(t, os.WriteFile(file, []byte(queries.String()), 0o600))
	promtool(t, "check", "rules", file)
}
