//go:build containers

package containertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	local "petvote/infra/platform"
	"petvote/infra/servers"
)

const project = "petvote-containertest"

// workers is how many there are: what one that dies had in hand can be finished by another.
const workers = 2

// The passwords hold what shells, configuration files and addresses treat in their own ways.
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
	s := &stack{root: root, env: append(os.Environ(), "REDIS_PASSWORD="+redisPassword,
		"POSTGRES_PASSWORD="+postgresPassword,
		"BIND_ADDRESS=127.0.0.1", "CLAIM_IDLE=2s", "OTEL_EXPORTER_OTLP_ENDPOINT=", "OTEL_TRACES_SAMPLER_ARG=",
		"VOTE_URL=", "RESULT_URL=", "JAEGER_UI_URL=")}
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

// up builds the images and starts everything but Grafana, in which nothing is to be tested.
func (s *stack) up(ctx context.Context) error {
	building, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	fmt.Println("building the images …")
	if _, err := s.compose(building, "build", "vote", "result", "worker"); err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	fmt.Println("starting the containers …")
	start := time.Now()
	if _, err := s.compose(starting, "up", "--detach", "--wait", "--scale", fmt.Sprint("worker=", workers),
		"vote", "result", "worker", "redis", "db", "jaeger", "prometheus", "redis-exporter",
		"postgres-exporter"); err != nil {
		return err
	}
	fmt.Printf("all healthy after %v\n", time.Since(start).Round(100*time.Millisecond))
	return nil
}

// down is not bound to the tests' context: it has to work after an interrupt.
func (s *stack) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), downTimeout)
	defer cancel()
	_, err := s.compose(ctx, "down", "--volumes", "--rmi", "local", "--remove-orphans", "--timeout", "5")
	return err
}

func (s *stack) logs() string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := s.compose(ctx, "logs", "--no-color", "--tail", "40")
	if err != nil {
		return err.Error()
	}
	return out
}

// compose takes neither a .env file nor an override file of the checkout into account.
func (s *stack) compose(ctx context.Context, args ...string) (string, error) {
	return s.docker(ctx, append([]string{"compose", "--project-name", project, "--env-file", os.DevNull, "--ansi", "never",
		"-f", "docker-compose.yml", "-f", "docker-compose.observability.yml"}, args...)...)
}

// docker runs the docker command and returns its standard output. It is in a process group of its own, so that a Ctrl-C
// reaches this program alone, which still needs docker to clean up.
func (s *stack) docker(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Dir, cmd.Env = s.root, s.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w\n%s", strings.Join(args, " "), errors.Join(err, context.Cause(ctx)),
			problems.Bytes())
	}
	return strings.TrimSpace(out.String()), nil
}

// container is what docker inspect tells, as far as the tests look at it.
type container struct {
	ID, Name, Image string
	RestartCount    int
	State           struct {
		Status    string
		Pid       int
		ExitCode  int
		OOMKilled bool
		StartedAt time.Time
		Health    struct{ Status string }
	}
	HostConfig struct {
		ReadonlyRootfs              bool
		CapDrop, CapAdd             []string
		SecurityOpt                 []string
		Memory, PidsLimit           int64
		RestartPolicy               struct{ Name string }
		Privileged, PublishAllPorts bool
		PortBindings                map[string][]struct{ HostIP, HostPort string }
	}
	NetworkSettings struct{ Networks map[string]struct{} }
}

// containers are the stack's, by their short names: worker-1.
func (s *stack) containers(ctx context.Context) (map[string]container, error) {
	ids, err := s.docker(ctx, "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project="+project)
	if err != nil {
		return nil, err
	}
	out, err := s.docker(ctx, append([]string{"inspect"}, strings.Fields(ids)...)...)
	if err != nil {
		return nil, err
	}
	var all []container
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return nil, fmt.Errorf("docker inspect: %w", err)
	}
	named := make(map[string]container, len(all))
	for _, c := range all {
		named[strings.TrimPrefix(c.Name, "/"+project+"-")] = c
	}
	return named, nil
}

// fetch reads a JSON answer.
func fetch(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return local.Get(ctx, url, into)
}
