package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"petvote/infra/containers"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/wait"
)

const (
	dockerLimit  = 10 * time.Second // for an engine to answer a question
	composeLimit = 60 * time.Second // for the containers to stop
)

// composeFiles are the platform and its observability.
var composeFiles = []string{"-f", "docker-compose.yml", "-f", "docker-compose.observability.yml"}

// compose is the environment in which Docker Compose runs on the platform's files, beside this process's own.
type compose []string

// versions are those of the Docker engine and of Compose.
type versions struct{ engine, compose string }

// findDocker checks that an engine answers and that docker knows Compose v2; the error says which is missing.
func findDocker(ctx context.Context) (v versions, err error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return v, errors.New("docker is not installed")
	}
	if v.compose, err = compose(nil).ask(ctx, "compose", "version", "--short"); err != nil {
		return v, errors.New("docker has no Compose v2")
	}
	if v.engine, err = compose(nil).ask(ctx, "version", "--format", "{{.Server.Version}}"); err != nil {
		return v, errors.New("no Docker engine answers")
	}
	return v, nil
}

// ask runs docker and returns its output.
func (c compose) ask(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerLimit)
	defer cancel()
	return containers.DockerWith(ctx, c, "", args...)
}

func composeArgs(args ...string) []string {
	return slices.Concat([]string{"compose"}, composeFiles, args)
}

func (c compose) spec(args ...string) servers.Spec {
	return servers.Spec{
		Name: "docker compose " + args[0], Path: "docker", Args: composeArgs(args...), Env: append(os.Environ(), c...),
		Output: os.Stdout, StopSignal: syscall.SIGINT, OrphanSignal: syscall.SIGINT,
	}
}

// runCompose runs the stack in the foreground until stop is done or the stack ends, and then removes its containers;
// the volumes, with the votes, stay. When kill is done it kills the containers.
func runCompose(stop, kill context.Context, docker versions, ports []string) error {
	c := compose(append(ports, "COMPOSE_MENU=false")) // its menu wants the terminal, from which it is detached
	if err := c.refuseIfRunning(stop); err != nil {
		return err
	}
	if err := c.preflight(stop, docker, os.Stdout); err != nil {
		return fmt.Errorf("the stack can't be started:\n%w", err)
	}
	stack := servers.NewProcess(c.spec("up", "--build"))
	if err := stack.Start(stop); err != nil {
		return err
	}
	waiting, cancel := context.WithCancel(stop)
	var announcing sync.WaitGroup
	announcing.Go(func() { c.announce(waiting) })
	select {
	case <-stop.Done():
	case <-stack.Done():
	}
	cancel()
	announcing.Wait()

	var failure error
	if stop.Err() == nil {
		failure = errors.Join(errors.New("docker compose up ended by itself (./scripts/up --local does without Docker)"),
			stack.Err())
	}
	bounded, cancelBound := context.WithTimeout(kill, composeLimit)
	defer cancelBound()
	return errors.Join(failure, stack.Stop(bounded), c.remove(kill))
}

// refuseIfRunning leaves alone a stack that somebody else has started: the end of this run would take it down.
func (c compose) refuseIfRunning(ctx context.Context) error {
	running, err := c.ask(ctx, composeArgs("ps", "--quiet", "--status", "running")...)
	if err != nil {
		return fmt.Errorf("look for a running stack: %w", err)
	}
	if running != "" {
		return errors.New("the stack is running already: docker compose " + strings.Join(composeFiles, " ") +
			" down stops it; COMPOSE_PROJECT_NAME and other ports make a second one")
	}
	return nil
}

// remove stops and removes the containers, or only kills them when kill is done before that.
func (c compose) remove(kill context.Context) error {
	if kill.Err() == nil {
		ctx, cancel := context.WithTimeout(kill, composeLimit)
		defer cancel()
		if err := servers.Run(ctx, c.spec("down", "--remove-orphans")); kill.Err() == nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), composeLimit)
	defer cancel()
	return servers.Run(ctx, c.spec("kill"))
}

// page is something the stack publishes for a browser.
type page struct {
	title, service, port string // the port inside the container
}

var (
	pages = []page{{"vote", "vote", "8084"}, {"results", "result", "8085"}}
	tools = []page{{"traces", "jaeger", "16686"}, {"metrics", "prometheus", "9090"}, {"dashboards", "grafana", "3000"}}
)

// announce waits until the pages are ready and then prints the addresses; it gives up when ctx is done. Until the
// images are built nothing is published, so it may take minutes.
func (c compose) announce(ctx context.Context) {
	for !c.ready(ctx) {
		if wait.For(ctx, time.Second) != nil {
			return
		}
	}
	lines := []string{"", "petvote is ready (Ctrl-C stops it; the votes are kept)", ""}
	var hint []string
	for _, p := range append(pages, tools...) {
		address, ok := c.published(ctx, p)
		if ok {
			lines = append(lines, fmt.Sprintf("  %-12s%s", p.title, address))
		}
		if ok && p.service == "jaeger" {
			hint = []string{"", "  To see a trace, vote and follow the link Trace below the vote's journey, or look for",
				"  the service vote at " + address + ". Spans arrive after a second or two."}
		}
	}
	fmt.Println(strings.Join(append(append(lines, hint...), ""), "\n"))
}

func (c compose) ready(ctx context.Context) bool {
	for _, p := range pages {
		if address, ok := c.published(ctx, p); !ok || platform.Probe(ctx, address+"/readyz") != nil {
			return false
		}
	}
	return true
}

// published returns the address of a page on this machine; it has none until its container runs.
func (c compose) published(ctx context.Context, p page) (string, bool) {
	address, err := c.ask(ctx, composeArgs("port", p.service, p.port)...)
	if err != nil {
		return "", false
	}
	_, port, err := net.SplitHostPort(address)
	return "http://localhost:" + port, err == nil && port != "0"
}

// The health checks' start_interval came with these versions of the engine and of Compose.
var (
	minEngine  = []int{25, 0, 0}
	minCompose = []int{2, 20, 3}
)

const wantMemory = 2 << 30 // bytes: slightly more than everything takes under load

// preflight looks for the usual causes of a failed start, before anything is built. Its error names all of them, and
// the remedies; it only warns on out about those that may go well.
func (c compose) preflight(ctx context.Context, docker versions, out io.Writer) error {
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
	return errors.Join(tooOld("Docker Engine", docker.engine, minEngine),
		tooOld("Docker Compose", docker.compose, minCompose), checkPorts(published), c.keepsQueues(ctx, []byte(config)))
}

// keepsQueues refuses a stack without the second queue where there is the volume of one.
func (c compose) keepsQueues(ctx context.Context, config []byte) error {
	var parsed struct {
		Name    string
		Volumes map[string]any // that the stack uses
	}
	if err := json.Unmarshal(config, &parsed); err != nil {
		return fmt.Errorf("read docker compose config: %w", err)
	}
	const volume = "redis2-data"
	name, err := c.ask(ctx, "volume", "ls", "--quiet", "--filter", "label=com.docker.compose.project="+parsed.Name,
		"--filter", "label=com.docker.compose.volume="+volume)
	if _, used := parsed.Volumes[volume]; err != nil || used || name == "" {
		return err
	}
	return secondQueue("the volume "+name, "docker volume rm "+name)
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
				found = append(found, &port{&number, strings.ToUpper(service) + "_PORT", service, p.HostIP})
			}
		}
	}
	slices.SortFunc(found, func(a, b *port) int { return strings.Compare(a.purpose, b.purpose) })
	return found, nil
}
