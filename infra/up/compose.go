package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"petvote/infra/servers"
)

// composeFiles are the platform and its observability, in this order.
var composeFiles = []string{"-f", "docker-compose.yml", "-f", "docker-compose.observability.yml"}

const (
	dockerAnswer = 10 * time.Second // how long an engine may take to answer at all
	composeStop  = 60 * time.Second
)

// findDocker gives the path of a docker whose engine answers and which knows Compose v2; the error says what is missing.
func findDocker(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerAnswer)
	defer cancel()
	docker, err := exec.LookPath("docker")
	if err != nil {
		return "", errors.New("docker is not installed")
	}
	if err := servers.Run(ctx, servers.Spec{Name: "docker compose version", Path: docker, Args: []string{"compose", "version"}}); err != nil {
		return "", errors.New("docker has no Compose v2")
	}
	if err := servers.Run(ctx, servers.Spec{Name: "docker version", Path: docker, Args: []string{"version", "--format", "{{.Server.Version}}"}}); err != nil {
		return "", errors.New("no Docker engine answers")
	}
	return docker, nil
}

// compose runs Docker Compose on the platform's files.
type compose struct {
	docker, source string
	environ        []string
}

func (c compose) spec(stop syscall.Signal, args ...string) servers.Spec {
	return servers.Spec{
		Name: "docker compose " + args[0], Path: c.docker, Args: append(append([]string{"compose"}, composeFiles...), args...),
		Dir: c.source, Env: c.environ, Output: os.Stdout, StopSignal: stop, OrphanSignal: stop,
	}
}

// runCompose runs the stack in the foreground until stop is done or the stack ends, and then removes its containers; the
// volumes, with the votes, stay. When kill is done it kills the containers.
func runCompose(stop, kill context.Context, docker, source string, ports []string) error {
	environ := append(os.Environ(), "COMPOSE_MENU=false") // its menu wants the terminal, from which it is detached
	c := compose{docker: docker, source: source, environ: append(environ, ports...)}
	if err := c.refuseIfRunning(stop); err != nil {
		return err
	}
	if err := c.preflight(stop, os.Stdout); err != nil {
		return fmt.Errorf("the stack can't be started:\n%w", err)
	}
	stack := servers.NewProcess(c.spec(syscall.SIGINT, "up", "--build"))
	if err := stack.Start(stop); err != nil {
		return err
	}
	ready := make(chan struct{})
	waiting, cancel := context.WithCancel(stop)
	go func() {
		defer close(ready)
		c.announce(waiting)
	}()
	select {
	case <-stop.Done():
	case <-stack.Done():
	}
	cancel()
	<-ready

	var failure error
	if stop.Err() == nil {
		failure = errors.Join(errors.New("docker compose up ended by itself (./scripts/up --local does without Docker)"), stack.Err())
	}
	bounded, cancelBound := context.WithTimeout(kill, composeStop)
	defer cancelBound()
	return errors.Join(failure, stack.Stop(bounded), c.remove(kill))
}

// containerID is what docker compose ps --quiet prints for a container.
var containerID = regexp.MustCompile(`(?m)^[0-9a-f]{64}$`)

// refuseIfRunning leaves a stack alone that somebody else has started, and that this run's end would take down.
func (c compose) refuseIfRunning(ctx context.Context) error {
	var running bytes.Buffer
	spec := c.spec(syscall.SIGINT, "ps", "--quiet", "--status", "running")
	spec.Output = &running
	if err := servers.Run(ctx, spec); err != nil {
		return fmt.Errorf("look for a running stack: %w\n%s", err, strings.TrimSpace(running.String()))
	}
	if containerID.Match(running.Bytes()) { // and not just a warning
		return errors.New("the stack is running already: docker compose " + strings.Join(composeFiles, " ") + " down stops it; " +
			"COMPOSE_PROJECT_NAME and other ports make a second one")
	}
	return nil
}

// remove ends and removes the containers, or only kills them when kill is done before that.
func (c compose) remove(kill context.Context) error {
	if kill.Err() == nil {
		ctx, cancel := context.WithTimeout(kill, composeStop)
		defer cancel()
		if err := servers.Run(ctx, c.spec(syscall.SIGINT, "down", "--remove-orphans")); kill.Err() == nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), composeStop)
	defer cancel()
	return servers.Run(ctx, c.spec(syscall.SIGINT, "kill"))
}
