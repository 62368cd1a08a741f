package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// composeTarget is the platform as Docker Compose runs it. It knows the containers by the labels that Compose gives them, so it
// needs none of the files they were made from, and touches no others.
type composeTarget struct {
	project string
	at      addresses
}

// The labels by which Compose marks what is its own.
const (
	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelOneOff  = "com.docker.compose.oneoff"
)

// labelChaos marks the containers that this program has made, with the project that it made them for.
const labelChaos = "petvote.chaos"

// composeService is a part's name in the Compose files.
func composeService(part string) string {
	if part == postgres {
		return "db"
	}
	return part
}

// newCompose finds the running platform of a Compose project. The error says what is missing.
func newCompose(ctx context.Context, project, jaeger string) (*composeTarget, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, errors.New("docker is not installed")
	}
	c := &composeTarget{project: project, at: addresses{jaeger: jaeger}}
	all, err := c.containers(ctx)
	if err != nil {
		return nil, err
	}
	for _, part := range []string{vote, worker, result, redis, postgres} {
		if len(all[composeService(part)]) == 0 {
			return nil, fmt.Errorf("the project %s has no container of %s; ./scripts/up --docker starts it", project, composeService(part))
		}
	}
	for part, address := range map[string]*string{vote: &c.at.vote, result: &c.at.result} {
		if *address = all[part][0].published(); *address == "" {
			return nil, fmt.Errorf("the container of %s publishes no port", part)
		}
	}
	if ui := all["jaeger"]; c.at.jaeger == "" && len(ui) > 0 {
		c.at.jaeger = ui[0].published()
	}
	return c, nil
}

func (c *composeTarget) addresses() addresses { return c.at }

func (c *composeTarget) sampled() time.Duration { return time.Second } // each look is a process in a container

func (c *composeTarget) close(context.Context) error { return nil }

// container is what docker inspect tells, as far as it is of use here.
type container struct {
	ID, Image    string
	RestartCount int
	State        struct {
		Running, Paused bool
		StartedAt       time.Time
	}
	Config struct {
		Hostname string
		Env      []string
		Labels   map[string]string
	}
	HostConfig struct {
		PortBindings map[string][]binding // as asked for, also of a container that does not run
	}
	NetworkSettings struct {
		Networks map[string]struct{ NetworkID string }
		Ports    map[string][]binding // as they are; empty for a container that does not run
	}
}

type binding struct{ HostIP, HostPort string }

// published is the address of the first port that can be reached from outside, or could be if the container ran; empty if there
// is none.
func (c container) published() string {
	for _, ports := range []map[string][]binding{c.NetworkSettings.Ports, c.HostConfig.PortBindings} {
		for _, bindings := range ports {
			if len(bindings) == 0 || bindings[0].HostPort == "" {
				continue
			}
			host := bindings[0].HostIP
			if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
				host = "localhost"
			}
			return "http://" + net.JoinHostPort(host, bindings[0].HostPort)
		}
	}
	return ""
}

// containers are the project's, by service, without those that docker compose run has made.
func (c *composeTarget) containers(ctx context.Context) (map[string][]container, error) {
	out, err := c.docker(ctx, nil, "ps", "--all", "--quiet", "--no-trunc", "--filter", "label="+labelProject+"="+c.project, "--filter", "label="+labelOneOff+"=False")
	if err != nil {
		return nil, err
	}
	ids := strings.Fields(out)
	if len(ids) == 0 {
		return nil, fmt.Errorf("no containers of the project %s; ./scripts/up --docker starts them", c.project)
	}
	if out, err = c.docker(ctx, nil, append([]string{"inspect"}, ids...)...); err != nil {
		return nil, err
	}
	var list []container
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("docker inspect: %w", err)
	}
	all := make(map[string][]container)
	for _, one := range list {
		service := one.Config.Labels[labelService]
		all[service] = append(all[service], one)
	}
	return all, nil
}

// of are the containers of a part, of which there is at least one.
func (c *composeTarget) of(ctx context.Context, part string) ([]container, error) {
	all, err := c.containers(ctx)
	if err != nil {
		return nil, err
	}
	list := all[composeService(part)]
	if len(list) == 0 {
		return nil, fmt.Errorf("no container of %s", part)
	}
	return list, nil
}

// docker runs the docker command and returns its standard output. The command is in a process group of its own: a Ctrl-C is for
// this program, which still needs docker to undo what it has done.
func (c *composeTarget) docker(ctx context.Context, input []byte, args ...string) (string, error) {
	return c.dockerWith(ctx, nil, input, args...)
}

func (c *composeTarget) dockerWith(ctx context.Context, env []string, input []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = bytes.NewReader(input)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("docker %s: %w: %s", args[0], errors.Join(err, context.Cause(ctx)), strings.TrimSpace(problems.String()))
	}
	return out.String(), nil
}

// alive asks a service's public port for its liveness.
func (c *composeTarget) alive(ctx context.Context, base string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
