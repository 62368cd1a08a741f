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
	"time"

	"go.yaml.in/yaml/v3"

	"petvote/observability/prometheus"
)

const root = "../.."

// core are the kinds of panels that Grafana brings along.
var core = []string{"row", "stat", "timeseries", "state-timeline", "table", "bargauge", "gauge", "text"}

func dashboards(t *testing.T) []Dashboard {
	t.Helper()
	all, err := Dashboards(".")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// read reads a YAML file of the repository.
func read[T any](t *testing.T, file string) T {
	t.Helper()
	var content T
	text, err := os.ReadFile(filepath.Join(root, file))
	if err == nil {
		err = yaml.Unmarshal(text, &content)
	}
	if err != nil {
		t.Fatal(err)
	}
	return content
}

type datasources struct {
	Datasources []struct {
		UID, Type string
		JSONData  struct {
			TimeInterval string                       `yaml:"timeInterval"`
			Exemplars    []struct{ Name, URL string } `yaml:"exemplarTraceIdDestinations"`
		} `yaml:"jsonData"`
	}
}

func provisioned(t *testing.T) datasources {
	t.Helper()
	return read[datasources](t, "observability/grafana/provisioning/datasources/datasources.yml")
}

func TestDashboardsAreKnownApartAndLeadToOneAnother(t *testing.T) {
	all := dashboards(t)
	uids, titles := map[string]bool{}, map[string]bool{}
	for _, d := range all {
		if d.UID == "" || d.Title == "" || d.Description == "" || uids[d.UID] || titles[d.Title] {
			t.Errorf("%s has the uid %q, the title %q and the description %q", d.File, d.UID, d.Title, d.Description)
		}
		uids[d.UID], titles[d.Title] = true, true
		if d.SchemaVersion != 41 || d.Refresh != "5s" || d.Time.From != "now-15m" || d.Time.To != "now" {
			t.Errorf("%s: version %d of the schema, refreshed every %s, from %s to %s", d.File, d.SchemaVersion, d.Refresh, d.Time.From, d.Time.To)
		}
		for _, other := range all {
			leads := slices.ContainsFunc(d.Links, func(l Link) bool { return l.URL == "/d/"+other.UID })
			if leads == (other.UID == d.UID) {
				t.Errorf("%s links to %s: %v", d.File, other.File, leads)
			}
		}
	}
}

func TestEveryPanelIsWhole(t *testing.T) {
	type source struct{ kind, uid string }
	var sources []source
	for _, d := range provisioned(t).Datasources {
		sources = append(sources, source{d.Type, d.UID})
	}
	known := func(d Datasource) bool { return slices.Contains(sources, source{d.Type, d.UID}) }
	for _, d := range dashboards(t) {
		ids, titles := map[int]bool{}, map[string]bool{}
		for _, p := range d.Panels {
			if p.ID <= 0 || ids[p.ID] || p.Title == "" || titles[p.Title] || !slices.Contains(core, p.Type) || p.LibraryPanel != nil {
				t.Errorf("%s: panel %d, %q, is a %q", d.File, p.ID, p.Title, p.Type)
			}
			ids[p.ID], titles[p.Title] = true, true
			if p.Type == "row" || p.Type == "text" {
				continue
			}
			if !strings.HasSuffix(p.Description, ".") || strings.Contains(p.Description, ". ") {
				t.Errorf("%s, %q: the description is no single sentence: %q", d.File, p.Title, p.Description)
			}
			if !known(p.Datasource) || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
				t.Errorf("%s, %q: data source %+v, unit %q, %d queries", d.File, p.Title, p.Datasource, p.FieldConfig.Defaults.Unit, len(p.Targets))
			}
			refs, legends := map[string]bool{}, map[string]bool{}
			for _, q := range p.Targets {
				if q.RefID == "" || refs[q.RefID] || q.Expr == "" || !known(q.Datasource) || q.Instant == q.Range {
					t.Errorf("%s, %q: %+v", d.File, p.Title, q)
				}
				if p.Type != "table" && (q.LegendFormat == "" || legends[q.LegendFormat]) {
					t.Errorf("%s, %q: %s is called %q", d.File, p.Title, q.RefID, q.LegendFormat)
				}
				refs[q.RefID], legends[q.LegendFormat] = true, true
			}
		}
		for _, a := range d.Annotations.List {
			if a.BuiltIn == 0 && (a.Name == "" || !known(a.Datasource) || a.Expr == "" || a.Target.Expr != a.Expr || a.Target.RefID == "") {
				t.Errorf("%s: annotation %+v", d.File, a)
			}
		}
	}
}

func TestNoPanelLiesOnAnother(t *testing.T) {
	for _, d := range dashboards(t) {
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			g := p.GridPos
			if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
				t.Errorf("%s, %q is at %+v", d.File, p.Title, g)
			}
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" {
						t.Fatalf("%s: %q lies on %q", d.File, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}

// A legend that names a label that the query does not keep is empty on the screen.
func TestALegendNamesLabelsThatItsQueryKeeps(t *testing.T) {
	label := regexp.MustCompile(`\{\{(\w+)\}\}`)
	by := regexp.MustCompile(`\bby \(([^)]*)\)`)
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				groups := by.FindStringSubmatch(q.Expr)
				for _, name := range label.FindAllStringSubmatch(q.LegendFormat, -1) {
					if groups != nil && !slices.Contains(strings.Split(groups[1], ", "), name[1]) {
						t.Errorf("%s, %q: %s is not among %s", d.File, p.Title, name[1], groups[1])
					}
				}
			}
		}
	}
}

func TestEveryAlertsRunbookIsOneClickAway(t *testing.T) {
	rules, err := prometheus.Rules("../prometheus")
	if err != nil {
		t.Fatal(err)
	}
	unlinked := map[string]bool{}
	for _, r := range rules {
		if r.Alert != "" {
			unlinked[r.Annotations["runbook_url"]] = true
		}
	}
	fromTable := false
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, l := range p.Links {
				file := strings.TrimPrefix(l.URL, "/public/")
				if _, err := os.Stat(filepath.Join(root, file)); err != nil || path.Dir(file) != "observability/runbooks" {
					t.Errorf("%s, %q links to %s: %v", d.File, p.Title, l.URL, err)
				}
				if l.Title != "Runbook: "+strings.TrimSuffix(path.Base(file), ".md") {
					t.Errorf("%s, %q: the link to %s is called %q", d.File, p.Title, l.URL, l.Title)
				}
				delete(unlinked, file)
			}
			for _, o := range p.FieldConfig.Overrides {
				for _, property := range o.Properties {
					var links []Link
					if property.ID == "links" && json.Unmarshal(property.Value, &links) == nil && links[0].URL == "/public/observability/runbooks/${__value.raw}.md" {
						fromTable = true
					}
				}
			}
		}
	}
	if len(unlinked) > 0 || !fromTable {
		t.Errorf("no panel links to %v; the table of alerts links to runbooks: %v", unlinked, fromTable)
	}
}

func TestGrafanaIsGivenWhatThePanelsNeed(t *testing.T) {
	overlay := read[struct {
		Services map[string]struct {
			Environment map[string]string
			Volumes     []string
		}
	}](t, "docker-compose.observability.yml").Services["grafana"]
	for _, volume := range []string{
		"./observability/grafana/provisioning:/etc/grafana/provisioning:ro",
		"./observability/grafana/dashboards:/etc/grafana/dashboards:ro",
		"./observability/runbooks:/usr/share/grafana/public/observability/runbooks:ro",
	} {
		if !slices.Contains(overlay.Volumes, volume) {
			t.Errorf("no volume %s among %v", volume, overlay.Volumes)
		}
	}
	if home := overlay.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]; home != "/etc/grafana/dashboards/overview.json" {
		t.Errorf("the first dashboard is %q", home)
	}
	provider := read[struct {
		Providers []struct {
			Type    string
			Options struct{ Path string }
		}
	}](t, "observability/grafana/provisioning/dashboards/dashboards.yml").Providers[0]
	if provider.Type != "file" || provider.Options.Path != "/etc/grafana/dashboards" {
		t.Errorf("dashboards are read from %+v", provider)
	}
	config := read[struct {
		Global struct {
			ScrapeInterval string `yaml:"scrape_interval"`
		}
	}](t, "observability/prometheus/prometheus.yml")
	for _, d := range provisioned(t).Datasources {
		if d.UID != "prometheus" {
			continue
		}
		if e := d.JSONData.Exemplars; len(e) != 1 || e[0].Name != "trace_id" || !strings.Contains(e[0].URL, "$JAEGER_UI_URL/trace/") {
			t.Errorf("exemplars lead to %+v", e)
		}
		if d.JSONData.TimeInterval != config.Global.ScrapeInterval {
			t.Errorf("Grafana takes the scrapes to be %s apart, and they are %s", d.JSONData.TimeInterval, config.Global.ScrapeInterval)
		}
	}
}

func TestVariablesAreFilledAsGrafanaDoes(t *testing.T) {
	for _, c := range []struct {
		view       View
		expr, want string
	}{
		{View{15 * time.Minute, 1000, 5 * time.Second}, "rate(a[$__rate_interval]) b[$__interval] c[$__range]", "rate(a[20s]) b[5s] c[900s]"},
		{View{6 * time.Hour, 720, 5 * time.Second}, "a[$__rate_interval] b[${__interval}] > $__interval_ms / $__range_s", "a[35s] b[30s] > 30000 / 21600"},
		{View{time.Hour, 1000, 5 * time.Second}, `a{b="$c"}`, ""},
	} {
		if got, err := c.view.Fill(c.expr); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s is %q, %v; want %q", c.expr, got, err, c.want)
		}
	}
}
