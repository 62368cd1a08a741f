// Package prometheus reads the rules that Prometheus is given here, for the tests that hold them to what the services
// really export.
package prometheus

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Rule is a recording rule or an alert; only one of the two names is set.
type Rule struct {
	Record      string
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

// Name is the rule's name, of either kind.
func (r Rule) Name() string { return r.Record + r.Alert }

// Rules reads every rule file of this folder, which dir leads to.
func Rules(dir string) ([]Rule, error) {
	files, err := filepath.Glob(filepath.Join(dir, "rules", "*.yml"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no rule files in %s: %w", dir, err)
	}
	var rules []Rule
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var content struct{ Groups []struct{ Rules []Rule } }
		if err := yaml.Unmarshal(text, &content); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, group := range content.Groups {
			rules = append(rules, group.Rules...)
		}
	}
	return rules, nil
}

// Selector is a metric as a rule asks for it.
type Selector struct {
	Metric   string
	Matchers []Matcher
}

// Matcher compares one label. Its Op is =, !=, =~ or !~.
type Matcher struct{ Label, Op, Value string }

// Matches says whether a series has the selector's name and fulfils its matchers. A label that is not there is empty.
func (s Selector) Matches(metric string, labels map[string]string) bool {
	return metric == s.Metric && !slices.ContainsFunc(s.Matchers, func(m Matcher) bool {
		equal := labels[m.Label] == m.Value
		if m.Op == "=~" || m.Op == "!~" {
			equal = regexp.MustCompile("^(?:" + m.Value + ")$").MatchString(labels[m.Label])
		}
		return equal != (m.Op[0] == '=')
	})
}

var (
	text     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	window   = regexp.MustCompile(`\[[^\]]*\]`)
	// A name with what follows it: matchers, the parenthesis of a function, or neither.
	name    = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\}|\()?`)
	matcher = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"`)
	words   = []string{"and", "or", "unless", "bool", "offset", "inf", "nan", "sum", "max", "min"}
)

// Selectors finds the metrics that the rule's expression asks for. It knows PromQL as far as the rules here use it.
func (r Rule) Selectors() []Selector {
	bare := grouping.ReplaceAllString(window.ReplaceAllString(r.Expr, ""), "")
	// Texts that are no matcher's values are arguments of functions.
	var found []Selector
	for _, m := range name.FindAllStringSubmatchIndex(blank(bare), -1) {
		word, tail := bare[m[2]:m[3]], ""
		if m[4] >= 0 {
			tail = bare[m[4]:m[5]]
		}
		if tail == "(" || slices.Contains(words, word) || m[2] > 0 && bare[m[2]-1] >= '0' && bare[m[2]-1] <= '9' {
			continue
		}
		s := Selector{Metric: word}
		for _, parts := range matcher.FindAllStringSubmatch(tail, -1) {
			s.Matchers = append(s.Matchers, Matcher{parts[1], parts[2], parts[3]})
		}
		found = append(found, s)
	}
	return found
}

// blank replaces the inside of texts, so that nothing there is taken for a name, and keeps every position.
func blank(expr string) string {
	return text.ReplaceAllStringFunc(expr, func(t string) string {
		b := []byte(t)
		for i := 1; i < len(b)-1; i++ {
			b[i] = ' '
		}
		return string(b)
	})
}
