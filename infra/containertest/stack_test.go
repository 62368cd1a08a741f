//go:build containers

package containertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"petvote/infra/containers"
	local "petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/testenv"
)

const project = "petvote-containertest"

// workers is their number: a second one can claim the entries of a dead one.
const workers = 2

// The passwords contain characters that are special to shells, configuration files and URLs.
const (
	redisPassword    = `r "e'd\i$s#: /@%41`
	postgresPassword = `p "o's\t$g#: /@%41`
)

// stack is the platform as the compose files make it.
type stack struct {
	root, votes, results, jaeger, prometheus string
	env                                      []string
}

func newStack() (*stack, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	s := &stack{root: root, env: []string{"REDIS_PASSWORD=" + redisPassword, "POSTGRES_PASSWORD=" + postgresPassword,
		"BIND_ADDRESS=127.0.0.1", "TWO_QUEUES=", "COMPOSE_PROFILES=", "CLAIM_IDLE=2s", "OTEL_EXPORTER_OTLP_ENDPOINT=",
		"OTEL_TRACES_SAMPLER_ARG=", "VOTE_URL=", "RESULT_URL=", "JAEGER_UI_URL="}}
	for variable, address := range map[string]*string{"VOTE_PORT": &s.votes, "RESULT_PORT": &s.results,
		"JAEGER_PORT": &s.jaeger, "PROMETHEUS_PORT": &s.prometheus} {
		port, err := servers.FreePort()
		if err != nil {
			return nil, err
		}
		*address = fmt.Sprintf("http://127.0.0.1:%d", port)
		s.env = append(s.env, fmt.Sprintf("%s=%d", variable, port))
	}
	return s, nil
}

// up builds the images and starts everything but Grafana, which no test needs.
func (s *stack) up(ctx context.Context) error {
	building, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	fmt.Println("building the images …")
	if _, err := s.docker(building, s.compose("build", "vote", "result", "worker")...); err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	fmt.Println("starting the containers …")
	start := time.Now()
	if _, err := s.docker(starting, s.compose("up", "--detach", "--wait", "--scale", fmt.Sprint("worker=", workers),
		"vote", "result", "worker", "redis", "db", "jaeger", "prometheus", "redis-exporter",
		"postgres-exporter")...); err != nil {
		return err
	}
	fmt.Printf("all healthy after %v\n", time.Since(start).Round(100*time.Millisecond))
	return nil
}

// down is not bound to the tests' context: it has to work after an interrupt.
func (s *stack) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), downTimeout)
	defer cancel()
	all := *s
	all.env = append(slices.Clone(s.env), "TWO_QUEUES=1") // the second queue's volume too
	_, err := all.docker(ctx, s.compose("down", "--volumes", "--rmi", "local", "--remove-orphans", "--timeout", "5")...)
	return err
}

func (s *stack) logs() string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := s.docker(ctx, s.compose("logs", "--no-color", "--tail", "40")...)
	if err != nil {
		return err.Error()
	}
	return out
}

// compose completes a docker compose command. It takes neither a .env file nor an override file of the checkout into
// account.
func (s *stack) compose(args ...string) []string {
	return append([]string{"compose", "--project-name", project, "--env-file", os.DevNull, "--ansi", "never",
		"-f", filepath.Join(s.root, "docker-compose.yml"),
		"-f", filepath.Join(s.root, "docker-compose.observability.yml")}, args...)
}

func (s *stack) docker(ctx context.Context, args ...string) (string, error) {
	return containers.DockerWith(ctx, s.env, "", args...)
}

// docker runs a docker command, which must succeed, and returns its output.
func docker(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	out, err := platform.docker(ctx, args...)
	testenv.Must(t, err)
	return out
}

// inspect describes the stack's containers, by their short names: worker-1.
func inspect(ctx context.Context, t *testing.T) map[string]containers.Container {
	t.Helper()
	all, err := store.All(ctx)
	testenv.Must(t, err)
	named := make(map[string]containers.Container)
	for _, list := range all {
		for _, c := range list {
			named[strings.TrimPrefix(c.Name, "/"+project+"-")] = c
		}
	}
	return named
}

// fetch reads a JSON answer.
func fetch(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return local.Get(ctx, url, into)
}

// data reads the data of a JSON answer of Prometheus or Jaeger.
func data(ctx context.Context, url string, into any) error {
	return fetch(ctx, url, &struct{ Data any }{into})
}
