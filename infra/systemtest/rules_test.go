package systemtest

import (
	"bufio"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"petvote/infra/platform"
	"petvote/observability/prometheus"
)

// A rule about a metric or a label that nothing exports is silent for ever, and so is its test.
func TestEveryRuleIsAboutWhatTheServicesExport(t *testing.T) {
	t.Parallel()
	rules, err := prometheus.Rules("../../observability/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	accepted := func() error {
		status, _, _, err := cast(t.Context(), r.Vote.URL("/vote"), "dogs", "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		return err
	}
	r.must(accepted())
	// Some series are there only once something has failed.
	r.must(r.Redis.Kill())
	r.eventually(func() error {
		if err := accepted(); err == nil {
			return fmt.Errorf("accepted without Redis")
		}
		if !slices.ContainsFunc(r.exported("vote", r.Vote), func(s series) bool { return s.metric == "petvote_breaker_changes_total" }) {
			return fmt.Errorf("the breaker is closed")
		}
		return nil
	})
	r.must(r.Redis.Start(t.Context()))
	r.eventually(accepted)
	r.drained()

	var missing []string
	r.eventually(func() error { // until what is known of Redis is current again
		all := slices.Concat(r.exported("vote", r.Vote), r.exported("worker", r.Worker), r.exported("result", r.Result))
		missing = nil
		for _, rule := range rules {
			for _, s := range rule.Selectors() {
				recorded := func(other prometheus.Rule) bool { return other.Record == s.Metric }
				exported := func(one series) bool { return s.Matches(one.metric, one.labels) }
				if s.Metric != "up" && !slices.ContainsFunc(rules, recorded) && !slices.ContainsFunc(all, exported) {
					missing = append(missing, fmt.Sprintf("%s: %+v", rule.Name(), s))
				}
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("of %d series none is what these ask for:\n%s", len(all), strings.Join(missing, "\n"))
		}
		return nil
	})
}

// series is one line of a scrape, with the label that Prometheus adds.
type series struct {
	metric string
	labels map[string]string
}

var (
	seriesLine  = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$`)
	seriesLabel = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
)

// exported is what a service tells Prometheus.
func (r *rig) exported(job string, s *platform.Service) []series {
	r.t.Helper()
	resp, err := http.Get(s.OpsURL("/metrics"))
	r.must(err)
	defer resp.Body.Close()
	var found []series
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		parts := seriesLine.FindStringSubmatch(lines.Text())
		if parts == nil {
			continue
		}
		one := series{metric: parts[1], labels: map[string]string{"job": job}}
		for _, label := range seriesLabel.FindAllStringSubmatch(parts[2], -1) {
			one.labels[label[1]] = label[2]
		}
		found = append(found, one)
	}
	r.must(lines.Err())
	return found
}
