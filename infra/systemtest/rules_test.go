package systemtest

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

// A rule about a metric or a label that nothing exports never fires, and no other test notices.
func TestEveryRuleIsAboutWhatTheServicesExport(t *testing.T) {
	t.Parallel()
	rules := rules(t)
	r := newRig(t)
	r.vote(ballot.Dogs)
	r.during(20, func() { // some series exist only after a failure
		r.must(r.Redis.Kill())
		r.eventually(func() error {
			if sum(r.exported(r.Vote), "petvote_breaker_changes_total") == 0 {
				return errors.New("the breaker is closed")
			}
			return nil
		})
		r.awaitAnswer(ledger.Refused)
		r.must(r.Redis.Start(t.Context()))
		r.awaitAnswer(ledger.Accepted)
	})
	r.drained()

	var missing []string
	r.eventually(func() error { // until Redis's metrics are current again
		all := slices.Concat(r.exported(r.Vote), r.exported(r.Worker), r.exported(r.Result))
		missing = nil
		for _, one := range rules {
			asked := selectors(one.Expr)
			if len(asked) == 0 {
				missing = append(missing, one.Expr)
			}
			for _, s := range asked {
				recorded := func(other rule) bool { return other.Record == s.metric }
				if s.metric != "up" && !slices.ContainsFunc(rules, recorded) && !slices.ContainsFunc(all, s.matches) {
					missing = append(missing, fmt.Sprintf("%s%s: %+v", one.Record, one.Alert, s))
				}
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("none of %d series matches:\n%s", len(all), strings.Join(missing, "\n"))
		}
		return nil
	})
}

// rule is a recording rule or an alert; only one of the two names is set.
type rule struct{ Record, Alert, Expr string }

func rules(t *testing.T) (all []rule) {
	t.Helper()
	for _, file := range testenv.Glob(t, "../../observability/prometheus/rules/*.yml") {
		text, err := os.ReadFile(file)
		var content struct{ Groups []struct{ Rules []rule } }
		testenv.Must(t, errors.Join(err, yaml.Unmarshal(text, &content)))
		for _, group := range content.Groups {
			all = append(all, group.Rules...)
		}
	}
	return all
}

// selector is a metric with its label matchers: name, operator, value.
type selector struct {
	metric   string
	matchers [][3]string
}

// token matches a text, a window, a grouping, an operator, a number or a function, or else a metric with its matchers.
var token = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|\b(?:by|on)\s*\([^)]*\)|\b(?:and|or|unless|sum|max|min|count)\b|` +
	`\b\d[\w.]*|\w+\s*\(|([a-zA-Z_:][\w:]*)(\{(?:"(?:[^"\\]|\\.)*"|[^}"])*\})?`)

var matcher = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"`)

// selectors finds the metrics of an expression. It knows PromQL as far as the rules use it: Prometheus's own parser
// would bring the clients of three clouds into go.mod. A line of a scrape is an expression too.
func selectors(expr string) (found []selector) {
	for _, parts := range token.FindAllStringSubmatch(expr, -1) {
		if parts[1] == "" {
			continue
		}
		s := selector{metric: parts[1]}
		for _, m := range matcher.FindAllStringSubmatch(parts[2], -1) {
			s.matchers = append(s.matchers, [3]string(m[1:]))
		}
		found = append(found, s)
	}
	return found
}

// series is a line of a scrape, whose labels are matchers.
type series struct {
	selector
	value float64
}

// matches says whether a series has the selector's name and fulfils its matchers. A missing label counts as empty.
func (s selector) matches(one series) bool {
	return s.metric == one.metric && !slices.ContainsFunc(s.matchers, func(m [3]string) bool {
		value := ""
		for _, label := range one.matchers {
			if label[0] == m[0] {
				value = label[2]
			}
		}
		equal := value == m[2]
		if m[1] == "=~" || m[1] == "!~" {
			equal = regexp.MustCompile("^(?:" + m[2] + ")$").MatchString(value)
		}
		return equal != (m[1][0] == '=')
	})
}

func TestTheSelectorsOfAnExpressionAreFound(t *testing.T) {
	for expr, want := range map[string]string{
		`sum by (le) (rate(b[5m]))`:                                        `[{b []}]`,
		`a > 14.4 * 1e3 and on (job, x) increase(c[1m]) >= 1 or vector(0)`: `[{a []} {c []}]`,
		`c{to="open", d!~"4.."}[1m]`:                                       `[{c [[to = open] [d !~ 4..]]}]`,
		`label_replace(absent(job:d:e), "metric", "not_asked", "", "")`:    `[{job:d:e []}]`,
		`f{route="/{$}"} unless (g or h)`:                                  `[{f [[route = /{$}]]} {g []} {h []}]`,
	} {
		if got := fmt.Sprint(selectors(expr)); got != want {
			t.Errorf("%s asks for %s, want %s", expr, got, want)
		}
	}
	s := selectors(`a{code=~"5..", job!="x"}`)[0]
	for line, want := range map[string]bool{
		`a{code="503",job="vote"} 1`: true, `a{code="1503",job="vote"} 1`: false, `a{code="503",job="x"} 1`: false,
		`b{code="503",job="vote"} 1`: false, `a{job="vote"} 1`: false,
	} {
		if s.matches(series{selector: selectors(line)[0]}) != want {
			t.Errorf("%s: %v", line, !want)
		}
	}
}

// exported returns the series that a service exports, with the label that Prometheus adds.
func (r *rig) exported(s *platform.Service) (all []series) {
	r.t.Helper()
	for line := range strings.Lines(r.page(s.OpsURL("/metrics"))) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		one := series{selector: selectors(line)[0]}
		one.matchers = append(one.matchers, [3]string{"job", "=", s.Spec.Name})
		value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		r.must(err)
		one.value = value
		all = append(all, one)
	}
	return all
}

// sum adds up the series that a selector matches.
func sum(all []series, expr string) (sum float64) {
	wanted := selectors(expr)[0]
	for _, one := range all {
		if wanted.matches(one) {
			sum += one.value
		}
	}
	return sum
}
