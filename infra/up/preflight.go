package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// What the stack needs. The health checks' start_interval came with these versions of the engine and of Compose; the
// memory is what everything takes under load, and a little more.
const (
	minEngine  = "25.0"
	minCompose = "2.20.3"
	wantMemory = 2 << 30 // bytes
)

// portVariables are what changes the ports that the stack publishes, by service.
var portVariables = map[string]string{
	"vote": "VOTE_PORT", "result": "RESULT_PORT", "jaeger": "JAEGER_PORT", "prometheus": "PROMETHEUS_PORT", "grafana": "GRAFANA_PORT",
}

// preflight looks for what usually goes wrong, before anything is built. Its error names all of it, and what to do; what
// may go well in spite of it is told on out.
func (c compose) preflight(ctx context.Context, out io.Writer) error {
	engine, err := c.ask(ctx, "version", "--format", "{{.Server.Version}}")
	if err != nil {
		return err
	}
	plugin, err := c.ask(ctx, "compose", "version", "--short")
	if err != nil {
		return err
	}
	config, err := c.ask(ctx, append(append([]string{"compose"}, composeFiles...), "config", "--format", "json")...)
	if err != nil {
		return err
	}
	if memory, err := c.ask(ctx, "info", "--format", "{{.MemTotal}}"); err == nil {
		if bytes, err := strconv.ParseInt(memory, 10, 64); err == nil && bytes < wantMemory {
			fmt.Fprintf(out, "The Docker engine has %.1f GB of memory; with less than 2 GB parts may be killed. "+
				"Docker Desktop: Settings, Resources.\n", float64(bytes)/1e9)
		}
	}
	published, err := publishedPorts([]byte(config))
	if err != nil {
		return err
	}
	return errors.Join(tooOld("Docker Engine", engine, minEngine), tooOld("Docker Compose", plugin, minCompose), taken(published))
}

// ask runs docker and returns what it prints, without white space around it.
func (c compose) ask(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerAnswer)
	defer cancel()
	var complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, c.docker, args...)
	cmd.Dir, cmd.Env, cmd.Stderr = c.source, c.environ, &complaints
	answer, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w\n%s", args[0], err, strings.TrimSpace(complaints.String()))
	}
	return strings.TrimSpace(string(answer)), nil
}

// tooOld says so of a version before the least; one that can't be read is taken for new enough.
func tooOld(what, version, least string) error {
	have, want := numbers(version), numbers(least)
	if len(have) == 0 || slices.Compare(have, want) >= 0 {
		return nil
	}
	return fmt.Errorf("%s %s is too old: the stack needs %s or later (https://docs.docker.com/engine/install/); ./scripts/up --local does without Docker",
		what, version, least)
}

// numbers are those that a version begins with: 26, 1 and 5 of "v26.1.5+dfsg1".
func numbers(version string) []int {
	var found []int
	for part := range strings.SplitSeq(strings.TrimPrefix(version, "v"), ".") {
		digits := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if digits < 0 {
			digits = len(part)
		}
		n, err := strconv.Atoi(part[:digits])
		if err != nil {
			break
		}
		if found = append(found, n); digits < len(part) {
			break
		}
	}
	return found
}

// publishedPort is a port that the stack wants on this machine.
type publishedPort struct{ Service, Host, Port string }

// publishedPorts reads them from what docker compose config prints.
func publishedPorts(config []byte) ([]publishedPort, error) {
	var parsed struct {
		Services map[string]struct {
			Ports []struct {
				HostIP    string `json:"host_ip"`
				Published string
			}
		}
	}
	if err := json.Unmarshal(config, &parsed); err != nil {
		return nil, fmt.Errorf("read docker compose config: %w", err)
	}
	var found []publishedPort
	for service, s := range parsed.Services {
		for _, p := range s.Ports {
			if p.Published != "" && p.Published != "0" {
				found = append(found, publishedPort{service, p.HostIP, p.Published})
			}
		}
	}
	slices.SortFunc(found, func(a, b publishedPort) int { return strings.Compare(a.Service, b.Service) })
	return found, nil
}

// taken names the ports that another program listens on, and how to choose others.
func taken(ports []publishedPort) error {
	var errs []error
	for _, p := range ports {
		listener, err := net.Listen("tcp", net.JoinHostPort(p.Host, p.Port))
		if err == nil {
			err = listener.Close()
		}
		if err == nil {
			continue
		}
		reason := err
		if errors.Is(err, syscall.EADDRINUSE) {
			reason = errors.New("another program listens there")
		}
		change := "free it"
		if variable := portVariables[p.Service]; variable != "" {
			change = fmt.Sprintf("free it, or choose another: %s=… ./scripts/up", variable)
		}
		errs = append(errs, fmt.Errorf("port %s, for %s, can't be used (%w): %s", p.Port, p.Service, reason, change))
	}
	return errors.Join(errs...)
}
