// Package grafana tests the dashboards and what Grafana is provisioned with.
package grafana

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"petvote/infra/testenv"
)

const root = "../.."

// panelTypes are those that need no plugin.
var panelTypes = []string{"row", "stat", "timeseries", "state-timeline", "table", "bargauge", "gauge", "text"}

// dashboard holds the fields that the tests check.
type dashboard struct {
	file                    string
	UID, Title, Description string
	SchemaVersion           int
	Refresh                 string
	Time                    struct{ From, To string }
	Links                   []link
	Annotations             struct{ List []annotation }
	Panels                  []panel
}

type link struct{ Title, URL string }

type datasource struct{ Type, UID string }

type annotation struct {
	Name       string
	BuiltIn    int // 1 for the one without a query that Grafana adds to every dashboard
	Datasource datasource
	Expr       string // the target's, for older versions
	Target     query
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               datasource
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults  struct{ Unit string }
		Overrides []struct {
			Properties []struct {
				ID    string
				Value json.RawMessage
			}
		}
	}
	Links        []link
	Targets      []query
	LibraryPanel json.RawMessage
}

type query struct {
	RefID, Expr, LegendFormat string
	Datasource                datasource
	Instant, Range            bool
}

// decode reads a YAML or JSON file of the repository.
func decode(t *testing.T, file string, unmarshal func([]byte, any) error, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err == nil {
		err = unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func dashboards(t *testing.T) (all []dashboard) {
	t.Helper()
	for _, file := range testenv.Glob(t, "dashboards/*.json") {
		d := dashboard{file: filepath.Base(file)}
		decode(t, "observability/grafana/"+file, json.Unmarshal, &d)
		all = append(all, d)
	}
	return all
}

type datasources struct {
	Datasources []struct {
		Type, UID string
		JSONData  struct {
			TimeInterval string                       `yaml:"timeInterval"`
			Exemplars    []struct{ Name, URL string } `yaml:"exemplarTraceIdDestinations"`
		} `yaml:"jsonData"`
	}
}

func provisioned(t *testing.T) (all datasources) {
	t.Helper()
	decode(t, "observability/grafana/provisioning/datasources/datasources.yml", yaml.Unmarshal, &all)
	return all
}

func TestDashboardsAreDistinctAndLinkToOneAnother(t *testing.T) {
	all := dashboards(t)
	uids, titles := map[string]bool{}, map[string]bool{}
	for _, d := range all {
		if d.UID == "" || d.Title == "" || d.Description == "" || uids[d.UID] || titles[d.Title] {
			t.Errorf("%s: uid %q, title %q, description %q", d.file, d.UID, d.Title, d.Description)
		}
		uids[d.UID], titles[d.Title] = true, true
		if d.SchemaVersion != 41 || d.Refresh != "5s" || d.Time.From != "now-15m" || d.Time.To != "now" {
			t.Errorf("%s: schema %d, refresh %s, from %s to %s", d.file, d.SchemaVersion, d.Refresh, d.Time.From, d.Time.To)
		}
		for _, other := range all {
			links := slices.ContainsFunc(d.Links, func(l link) bool { return l.URL == "/d/"+other.UID })
			if links == (other.UID == d.UID) {
				t.Errorf("%s links to %s: %v", d.file, other.file, links)
			}
		}
	}
}

func TestEveryPanelIsComplete(t *testing.T) {
	sources := map[datasource]bool{}
	for _, d := range provisioned(t).Datasources {
		sources[datasource{d.Type, d.UID}] = true
	}
	for _, d := range dashboards(t) {
		ids, titles := map[int]bool{}, map[string]bool{}
		for _, p := range d.Panels {
			known := slices.Contains(panelTypes, p.Type) && p.LibraryPanel == nil
			if p.ID <= 0 || ids[p.ID] || p.Title == "" || titles[p.Title] || !known {
				t.Errorf("%s: panel %d, %q, is a %q", d.file, p.ID, p.Title, p.Type)
			}
			ids[p.ID], titles[p.Title] = true, true
			if p.Type == "row" || p.Type == "text" {
				continue
			}
			if !strings.HasSuffix(p.Description, ".") || strings.Contains(p.Description, ". ") {
				t.Errorf("%s, %q: the description is not one sentence: %q", d.file, p.Title, p.Description)
			}
			if unit := p.FieldConfig.Defaults.Unit; !sources[p.Datasource] || unit == "" || len(p.Targets) == 0 {
				t.Errorf("%s, %q: source %+v, unit %q, %d queries", d.file, p.Title, p.Datasource, unit, len(p.Targets))
			}
			refs, legends := map[string]bool{}, map[string]bool{}
			for _, q := range p.Targets {
				if q.RefID == "" || refs[q.RefID] || q.Expr == "" || !sources[q.Datasource] || q.Instant == q.Range {
					t.Errorf("%s, %q: %+v", d.file, p.Title, q)
				}
				if p.Type != "table" && (q.LegendFormat == "" || legends[q.LegendFormat]) {
					t.Errorf("%s, %q: the legend of %s is %q", d.file, p.Title, q.RefID, q.LegendFormat)
				}
				refs[q.RefID], legends[q.LegendFormat] = true, true
			}
		}
		for _, a := range d.Annotations.List {
			asks := a.Expr != "" && a.Target.Expr == a.Expr && a.Target.RefID != ""
			if a.BuiltIn == 0 && (a.Name == "" || !sources[a.Datasource] || !asks) {
				t.Errorf("%s: annotation %+v", d.file, a)
			}
		}
	}
}

func TestPanelsDoNotOverlap(t *testing.T) {
	for _, d := range dashboards(t) {
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			g := p.GridPos
			if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
				t.Errorf("%s, %q is at %+v", d.file, p.Title, g)
			}
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" {
						t.Fatalf("%s: %q overlaps %q", d.file, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}

// A legend with a label that the query aggregates away is empty on the screen.
func TestLegendsUseLabelsThatTheirQueriesKeep(t *testing.T) {
	label := regexp.MustCompile(`\{\{(\w+)\}\}`)
	by := regexp.MustCompile(`\bby \(([^)]*)\)`)
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				groups := by.FindStringSubmatch(q.Expr)
				for _, name := range label.FindAllStringSubmatch(q.LegendFormat, -1) {
					if groups != nil && !slices.Contains(strings.Split(groups[1], ", "), name[1]) {
						t.Errorf("%s, %q: %s is not among %s", d.file, p.Title, name[1], groups[1])
					}
				}
			}
		}
	}
}

// There is a runbook for each alert and no other: the package prometheus tests that.
func TestEveryAlertsRunbookIsOneClickAway(t *testing.T) {
	const address = "/public/observability/runbooks/"
	linked, fromTable := map[string]bool{}, false
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, l := range p.Links {
				linked[l.URL] = true
				if want := "Runbook: " + strings.TrimSuffix(path.Base(l.URL), ".md"); l.Title != want {
					t.Errorf("%s, %q: the link to %s is called %q", d.file, p.Title, l.URL, l.Title)
				}
			}
			for _, o := range p.FieldConfig.Overrides {
				for _, property := range o.Properties {
					var links []link
					fromTable = fromTable || property.ID == "links" &&
						json.Unmarshal(property.Value, &links) == nil && links[0].URL == address+"${__value.raw}.md"
				}
			}
		}
	}
	for _, file := range testenv.Glob(t, "../runbooks/*.md") {
		if url := address + filepath.Base(file); !linked[url] {
			t.Errorf("no panel links to %s", url)
		} else {
			delete(linked, url)
		}
	}
	if len(linked) > 0 || !fromTable {
		t.Errorf("links to missing runbooks: %v; the table of alerts links to runbooks: %v", linked, fromTable)
	}
}

func TestGrafanaIsProvisionedWithWhatThePanelsNeed(t *testing.T) {
	var overlay struct {
		Services map[string]struct {
			Environment map[string]string
			Volumes     []string
		}
	}
	decode(t, "docker-compose.observability.yml", yaml.Unmarshal, &overlay)
	grafana := overlay.Services["grafana"]
	for _, volume := range []string{
		"./observability/grafana/provisioning:/etc/grafana/provisioning:ro,z",
		"./observability/grafana/dashboards:/etc/grafana/dashboards:ro,z",
		"./observability/runbooks:/usr/share/grafana/public/observability/runbooks:ro,z",
	} {
		if !slices.Contains(grafana.Volumes, volume) {
			t.Errorf("no volume %s among %v", volume, grafana.Volumes)
		}
	}
	if grafana.Environment["GF_AUTH_DISABLE_LOGIN_FORM"] != "${GRAFANA_LOGIN_DISABLED:-true}" ||
		grafana.Environment["GF_AUTH_BASIC_ENABLED"] != "false" {
		t.Error("anybody can sign in with the default password")
	}
	home := grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	if home != "/etc/grafana/dashboards/overview.json" {
		t.Errorf("the first dashboard is %q", home)
	}
	var dashboards struct {
		Providers []struct {
			Type    string
			Options struct{ Path string }
		}
	}
	decode(t, "observability/grafana/provisioning/dashboards/dashboards.yml", yaml.Unmarshal, &dashboards)
	if p := dashboards.Providers[0]; p.Type != "file" || p.Options.Path != "/etc/grafana/dashboards" {
		t.Errorf("dashboards are read from %+v", p)
	}
	var config struct {
		Global struct {
			ScrapeInterval string `yaml:"scrape_interval"`
		}
	}
	decode(t, "observability/prometheus/prometheus.yml", yaml.Unmarshal, &config)
	for _, d := range provisioned(t).Datasources {
		if d.UID != "prometheus" {
			continue
		}
		e := d.JSONData.Exemplars
		if len(e) != 1 || e[0].Name != "trace_id" || !strings.Contains(e[0].URL, "$JAEGER_UI_URL/trace/") {
			t.Errorf("exemplars lead to %+v", e)
		}
		if got, want := d.JSONData.TimeInterval, config.Global.ScrapeInterval; got != want {
			t.Errorf("Grafana's scrape interval is %s, Prometheus's %s", got, want)
		}
	}
}
