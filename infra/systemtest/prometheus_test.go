package systemtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/testenv"
)

// prometheusServer is a Prometheus with the repository's own configuration and rules, which scrapes a rig.
type prometheusServer struct {
	*rig
	url      string
	started  time.Time
	exporter *servers.Process // of Redis's metrics
}

// watched starts a Prometheus that scrapes and evaluates at an interval, with further rules if any, and the exporters
// of its configuration, until the test's end.
func (r *rig) watched(every time.Duration, more ...any) *prometheusServer {
	r.t.Helper()
	dir := r.t.TempDir()
	port, err := servers.FreePort()
	r.must(err)
	targets := map[string]int{"vote": r.Vote.Ops, "worker": r.Worker.Ops, "result": r.Result.Ops, "prometheus": port}
	exporters := map[string]*servers.Process{}
	for name, args := range map[string][]string{"redis": {"--redis.addr=" + r.Redis.URL()}, "postgres": nil} {
		target, err := servers.FreePort()
		r.must(err)
		targets[name] = target
		programs := []string{"prometheus-" + name + "-exporter", name + "_exporter"}
		exporters[name] = r.observe(name+"-exporter", programs, target, "/metrics", args)
	}
	config := filepath.Join(dir, "prometheus.yml")
	r.must(os.WriteFile(config, r.prometheusConfig(dir, targets, every, more), 0o644))
	p := &prometheusServer{rig: r, url: fmt.Sprintf("http://127.0.0.1:%d", port), started: time.Now(),
		exporter: exporters["redis"]}
	r.observe("prometheus", []string{"prometheus"}, port, "/-/ready", []string{"--config.file=" + config,
		"--storage.tsdb.path=" + filepath.Join(dir, "data"), "--log.level=warn", "--enable-feature=exemplar-storage"})
	return p
}

// observe starts a program that only observes the rig. It is ready when it serves a path.
func (r *rig) observe(name string, programs []string, port int, ready string, args []string) *servers.Process {
	r.t.Helper()
	path, err := "", error(nil)
	for _, program := range programs {
		if path, err = exec.LookPath(program); err == nil {
			break
		}
	}
	if err != nil {
		testenv.Missing(r.t, name)
	}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	p := servers.NewProcess(servers.Spec{
		Name: name, Path: path, Args: append(args, "--web.listen-address="+addr),
		Env:   []string{"DATA_SOURCE_NAME=" + r.Postgres.URL(), "HOME=" + r.t.TempDir()},
		Ready: func(ctx context.Context, _ int) error { return platform.Probe(ctx, "http://"+addr+ready) },
	})
	r.must(p.Start(r.t.Context()))
	r.stopAtEnd(name, p)
	return p
}

// prometheusConfig is observability/prometheus/prometheus.yml with the rig's addresses, one interval for everything,
// and further rules.
func (r *rig) prometheusConfig(dir string, targets map[string]int, every time.Duration, more []any) []byte {
	r.t.Helper()
	const source = "../../observability/prometheus"
	var config map[string]any
	text, err := os.ReadFile(filepath.Join(source, "prometheus.yml"))
	r.must(errors.Join(err, yaml.Unmarshal(text, &config)))
	config["global"] = map[string]any{
		"scrape_interval": every.String(), "scrape_timeout": every.String(), "evaluation_interval": every.String(),
	}
	for _, job := range config["scrape_configs"].([]any) {
		job := job.(map[string]any)
		port, ok := targets[job["job_name"].(string)]
		if !ok {
			r.t.Fatalf("prometheus.yml has the job %s, which the rig does not have", job["job_name"])
		}
		delete(job, "dns_sd_configs")
		delete(job, "file_sd_configs")
		job["static_configs"] = []any{map[string]any{"targets": []string{"127.0.0.1:" + strconv.Itoa(port)}}}
	}
	rules := map[string][]byte{}
	for _, pattern := range config["rule_files"].([]any) {
		files, err := filepath.Glob(filepath.Join(source, pattern.(string)))
		r.must(err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			r.must(err)
			rules[filepath.Base(file)] = groupInterval.ReplaceAll(text, nil)
		}
	}
	if len(more) > 0 {
		rules["more.yml"], err = yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "more", "rules": more}}})
		r.must(err)
	}
	r.must(os.Mkdir(filepath.Join(dir, "rules"), 0o755))
	for name, text := range rules {
		r.must(os.WriteFile(filepath.Join(dir, "rules", name), text, 0o644))
	}
	text, err = yaml.Marshal(config)
	r.must(err)
	return text
}

var groupInterval = regexp.MustCompile(`(?m)^ +interval:.*\n`)

// query decodes the data of an answer of Prometheus's API.
func (p *prometheusServer) query(path string, parameters url.Values, data any) error {
	return p.get(p.url+"/api/v1/"+path+"?"+parameters.Encode(), &struct{ Data any }{data})
}

// ask evaluates a query now or at each second since the start, and returns the number of series and all their numbers,
// without NaN and infinities, of which nothing can be drawn.
func (p *prometheusServer) ask(expr string, instant bool) (series int, numbers []float64, err error) {
	now := time.Now().Format(time.RFC3339Nano)
	path, query := "query", url.Values{"query": {expr}, "time": {now}}
	if !instant {
		path = "query_range"
		query = url.Values{"query": {expr}, "start": {p.started.Format(time.RFC3339Nano)}, "end": {now}, "step": {"1s"}}
	}
	var data struct {
		Result []struct {
			Value  [2]any // time and number, a text
			Values [][2]any
		}
	}
	if err := p.query(path, query, &data); err != nil {
		return 0, nil, err
	}
	for _, one := range data.Result {
		for _, value := range append(one.Values, one.Value) {
			text, _ := value[1].(string)
			if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
				numbers = append(numbers, n)
			}
		}
	}
	return len(data.Result), numbers, nil
}

// sees waits until each of these conditions has held at some time.
func (p *prometheusServer) sees(conditions ...string) {
	p.t.Helper()
	for _, condition := range conditions {
		p.eventually(func() error {
			series, _, err := p.ask(condition, true)
			if err == nil && series == 0 {
				err = fmt.Errorf("prometheus does not see %s", condition)
			}
			return err
		})
	}
}

// allUp waits until the newest scrape of every target has succeeded.
func (p *prometheusServer) allUp() {
	p.t.Helper()
	p.sees(`min(up) == 1`)
}

// exemplars returns the number of exemplars with a trace id that a query's metrics have.
func (p *prometheusServer) exemplars(expr string) (traces int, err error) {
	var data []struct {
		Exemplars []struct{ Labels map[string]string }
	}
	err = p.query("query_exemplars", url.Values{"query": {expr}, "start": {p.started.Format(time.RFC3339Nano)},
		"end": {time.Now().Format(time.RFC3339Nano)}}, &data)
	for _, one := range data {
		for _, e := range one.Exemplars {
			if len(e.Labels["trace_id"]) == 32 {
				traces++
			}
		}
	}
	return traces, err
}
