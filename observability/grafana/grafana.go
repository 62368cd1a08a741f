// Package grafana reads the dashboards that Grafana is given here, for the tests that hold them to what Prometheus really has.
package grafana

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Dashboard is a dashboard as far as the tests look at it.
type Dashboard struct {
	File          string `json:"-"`
	UID           string
	Title         string
	Description   string
	SchemaVersion int
	Refresh       string
	Time          struct{ From, To string }
	Tags          []string
	Links         []Link
	Templating    struct{ List []json.RawMessage }
	Annotations   struct{ List []Annotation }
	Panels        []Panel
}

// Link leads from a dashboard or a panel to somewhere else.
type Link struct{ Title, URL string }

// Datasource names one of the provisioned ones.
type Datasource struct{ Type, UID string }

// Annotation marks moments in every panel of a dashboard. Grafana's own, which is in every dashboard, has no query.
type Annotation struct {
	Name       string
	BuiltIn    int
	Datasource Datasource
	Expr       string // the same as the target's, which newer versions read
	Target     Query
}

// Panel is a panel, or a row's headline.
type Panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	Datasource  Datasource
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct {
		Defaults  struct{ Unit string }
		Overrides []struct {
			Properties []struct {
				ID    string
				Value json.RawMessage
			}
		}
	}
	Links        []Link
	Targets      []Query
	LibraryPanel json.RawMessage
}

// Query is one question to a data source.
type Query struct {
	RefID        string
	Datasource   Datasource
	Expr         string
	LegendFormat string
	Instant      bool
	Range        bool
	Exemplar     bool
}

// Dashboards reads every dashboard of this folder, which dir leads to.
func Dashboards(dir string) ([]Dashboard, error) {
	files, err := filepath.Glob(filepath.Join(dir, "dashboards", "*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no dashboards in %s: %w", dir, err)
	}
	var all []Dashboard
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		d := Dashboard{File: filepath.Base(file)}
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// View is how a dashboard is looked at, which decides what its queries' windows are.
type View struct {
	Range  time.Duration // from the left edge to the right
	Points int           // how many a panel has room for
	Scrape time.Duration // the data source's timeInterval, which no step is shorter than
}

// Step is the time between two points, Grafana's $__interval.
func (v View) Step() time.Duration {
	return max(v.Scrape, (v.Range / time.Duration(v.Points)).Round(time.Second))
}

// Fill puts values for Grafana's variables into a query, as its data source for Prometheus does
// (https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/). A variable that it does not know
// is an error.
func (v View) Fill(expr string) (string, error) {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%ds", int(d.Seconds())) }
	rate := max(v.Step()+v.Scrape, 4*v.Scrape)
	filled := strings.NewReplacer(
		"$__rate_interval", seconds(rate), "${__rate_interval}", seconds(rate),
		"$__interval_ms", fmt.Sprint(v.Step().Milliseconds()), "${__interval_ms}", fmt.Sprint(v.Step().Milliseconds()),
		"$__interval", seconds(v.Step()), "${__interval}", seconds(v.Step()),
		"$__range_s", fmt.Sprint(int(v.Range.Seconds())), "${__range_s}", fmt.Sprint(int(v.Range.Seconds())),
		"$__range_ms", fmt.Sprint(v.Range.Milliseconds()), "${__range_ms}", fmt.Sprint(v.Range.Milliseconds()),
		"$__range", seconds(v.Range), "${__range}", seconds(v.Range),
	).Replace(expr)
	if strings.Contains(filled, "$") {
		return "", fmt.Errorf("a variable that is not known in %s", filled)
	}
	return filled, nil
}
