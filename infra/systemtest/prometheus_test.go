package systemtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"petvote/infra/servers"
	"petvote/infra/testenv"
)

// prometheusServer is a Prometheus with the repository's own configuration and rules, which scrapes a rig.
type prometheusServer struct {
	*rig
	url     string
	started time.Time
}

// watched starts a Prometheus that scrapes and evaluates this often, with more rules if there are any, and the exporters that
// its configuration asks for. They end with the test.
func (r *rig) watched(every time.Duration, more ...any) *prometheusServer {
	r.t.Helper()
	dir := r.t.TempDir()
	port, err := servers.FreePort()
	r.must(err)
	targets := map[string]int{"vote": r.Vote.Ops, "worker": r.Worker.Ops, "result": r.Result.Ops, "prometheus": port}
	targets["redis"] = r.exporter("redis-exporter", []string{"prometheus-redis-exporter", "redis_exporter"},
		"--redis.addr="+r.Redis.URL())
	targets["postgres"] = r.exporter("postgres-exporter", []string{"prometheus-postgres-exporter", "postgres_exporter"})
	config := filepath.Join(dir, "prometheus.yml")
	r.must(os.WriteFile(config, r.prometheusConfig(dir, targets, every, more), 0o644))
	p := &prometheusServer{rig: r, url: fmt.Sprintf("http://127.0.0.1:%d", port), started: time.Now()}
	r.beside("prometheus", []string{"prometheus"}, p.url+"/-/ready", nil,
		"--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:"+strconv.Itoa(port),
		"--enable-feature=exemplar-storage", "--log.level=warn")
	return p
}

func (r *rig) exporter(name string, programs []string, args ...string) (port int) {
	r.t.Helper()
	port, err := servers.FreePort()
	r.must(err)
	addr := "127.0.0.1:" + strconv.Itoa(port)
	r.beside(name, programs, "http://"+addr+"/metrics", []string{"DATA_SOURCE_NAME=" + r.Postgres.URL()},
		append(args, "--web.listen-address="+addr)...)
	return port
}

// beside starts a program that only watches; it is ready when the address answers.
func (r *rig) beside(name string, programs []string, address string, env []string, args ...string) {
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
	p := servers.NewProcess(servers.Spec{Name: name, Path: path, Args: args, Env: append(env, "HOME="+r.t.TempDir()),
		Ready: func(context.Context, int) error { return wantStatus(address, http.StatusOK) }})
	r.must(p.Start(r.t.Context()))
	r.t.Cleanup(func() {
		if r.t.Failed() {
			r.t.Logf("the end of the log of %s:\n%s", name, p.Log())
		}
		if err := p.Stop(context.Background()); err != nil {
			r.t.Errorf("%s did not stop: %v", name, err)
		}
	})
}

// prometheusConfig is observability/prometheus/prometheus.yml with the rig's addresses, and everything this often, the
// groups of rules too. more are further rules.
func (r *rig) prometheusConfig(dir string, targets map[string]int, every time.Duration, more []any) []byte {
	r.t.Helper()
	const source = "../../observability/prometheus"
	read := func(file string) map[string]any {
		text, err := os.ReadFile(file)
		r.must(err)
		var content map[string]any
		r.must(yaml.Unmarshal(text, &content))
		return content
	}
	config := read(filepath.Join(source, "prometheus.yml"))
	config["global"] = map[string]any{"scrape_interval": every.String(), "scrape_timeout": every.String(), "evaluation_interval": every.String()}
	for _, job := range config["scrape_configs"].([]any) {
		job := job.(map[string]any)
		name := job["job_name"].(string)
		port, ok := targets[name]
		if !ok {
			r.t.Fatalf("prometheus.yml has the job %s, which the rig does not have", name)
		}
		delete(job, "dns_sd_configs")
		job["static_configs"] = []any{map[string]any{"targets": []string{"127.0.0.1:" + strconv.Itoa(port)}}}
	}
	r.must(os.Mkdir(filepath.Join(dir, "rules"), 0o755))
	write := func(name string, content any) {
		text, err := yaml.Marshal(content)
		r.must(err)
		r.must(os.WriteFile(filepath.Join(dir, "rules", name), text, 0o644))
	}
	for _, pattern := range config["rule_files"].([]any) {
		files, err := filepath.Glob(filepath.Join(source, pattern.(string)))
		r.must(err)
		for _, file := range files {
			content := read(file)
			for _, group := range content["groups"].([]any) {
				delete(group.(map[string]any), "interval")
			}
			write(filepath.Base(file), content)
		}
	}
	if len(more) > 0 {
		write("more.yml", map[string]any{"groups": []any{map[string]any{"name": "more", "rules": more}}})
	}
	text, err := yaml.Marshal(config)
	r.must(err)
	return text
}

// answer is the data of Prometheus's answer; an error that it tells is one.
func (p *prometheusServer) answer(path string, query url.Values, into any) error {
	resp, err := http.Get(p.url + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%s: %q: %w", resp.Status, body, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", resp.Status, answer.Error)
	}
	return nil
}

// ask evaluates a query, now or at each step since the start, and returns how many series there are and all their numbers;
// NaN and infinities, which nothing can be drawn of, are left out.
func (p *prometheusServer) ask(expr string, instant bool, step time.Duration) (series int, numbers []float64, err error) {
	now := time.Now().Format(time.RFC3339Nano)
	path, query := "/api/v1/query", url.Values{"query": {expr}, "time": {now}}
	if !instant {
		path = "/api/v1/query_range"
		query = url.Values{"query": {expr}, "start": {p.started.Format(time.RFC3339Nano)}, "end": {now}, "step": {step.String()}}
	}
	var data struct {
		Result []struct {
			Value  [2]any // time and number, a text
			Values [][2]any
		}
	}
	if err := p.answer(path, query, &data); err != nil {
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

// exemplars is how many exemplars with a trace's id a query's metrics have.
func (p *prometheusServer) exemplars(expr string) (traces int, err error) {
	var data []struct {
		Exemplars []struct{ Labels map[string]string }
	}
	err = p.answer("/api/v1/query_exemplars", url.Values{"query": {expr}, "start": {p.started.Format(time.RFC3339Nano)},
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
