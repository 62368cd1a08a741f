package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// The health checks' start_interval came with these versions of the engine and of Compose.
var (
	minEngine  = []int{25, 0, 0}
	minCompose = []int{2, 20, 3}
)

const wantMemory = 2 << 30 // bytes: slightly more than everything takes under load

// portVariables change the ports that the stack publishes, by service.
var portVariables = map[string]string{
	"vote": "VOTE_PORT", "result": "RESULT_PORT",
	"jaeger": "JAEGER_PORT", "prometheus": "PROMETHEUS_PORT", "grafana": "GRAFANA_PORT",
}

// preflight looks for the usual causes of a failed start, before anything is built. Its error names all of them, and
// the remedies; it only warns on out about those that may go well.
func (c compose) preflight(ctx context.Context, out io.Writer) error {
	engine, err := c.ask(ctx, "version", "--format", "{{.Server.Version}}")
	if err != nil {
		return err
	}
	plugin, err := c.ask(ctx, "compose", "version", "--short")
	if err != nil {
		return err
	}
	config, err := c.ask(ctx, composeArgs("config", "--format", "json")...)
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
	return errors.Join(tooOld("Docker Engine", engine, minEngine), tooOld("Docker Compose", plugin, minCompose),
		checkPorts(published))
}

// tooOld returns an error for a version before the least; one that can't be read is taken for new enough.
func tooOld(program, version string, least []int) error {
	have := make([]int, 3)
	n, _ := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d.%d", &have[0], &have[1], &have[2])
	if n == 0 || slices.Compare(have, least) >= 0 {
		return nil
	}
	return fmt.Errorf("%s %s is too old: the stack needs %d.%d.%d or later (https://docs.docker.com/engine/install/); "+
		"./scripts/up --local does without Docker", program, version, least[0], least[1], least[2])
}

// publishedPorts reads the ports that the stack wants on this machine from the output of docker compose config.
func publishedPorts(config []byte) ([]*port, error) {
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
	var found []*port
	for service, s := range parsed.Services {
		for _, p := range s.Ports {
			if number, _ := strconv.Atoi(p.Published); number != 0 { // 0 and "" stand for any free port
				found = append(found, &port{&number, portVariables[service], service, p.HostIP})
			}
		}
	}
	slices.SortFunc(found, func(a, b *port) int { return strings.Compare(a.purpose, b.purpose) })
	return found, nil
}
