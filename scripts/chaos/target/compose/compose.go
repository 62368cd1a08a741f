// Package compose is the platform as Docker Compose runs it. It recognises the containers by Compose's labels, so it
// needs none of the files they were made from, and touches no other containers.
package compose

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"petvote/infra/containers"
	"petvote/infra/platform"
	"petvote/scripts/chaos/scenario"
	"petvote/scripts/chaos/target"
)

// Target implements target.Target.
type Target struct {
	containers.Project
	queues  []string // their parts
	at      target.Addresses
	journal *journal
}

// Open finds the running platform of a Compose project, by default the one that Compose would run here. The error says
// what is missing. jaeger may be empty.
func Open(ctx context.Context, project, jaeger string) (*Target, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, errors.New("docker is not installed")
	}
	if project == "" {
		project = defaultProject(ctx)
	}
	c := &Target{Project: containers.Project(project)}
	all, err := c.All(ctx)
	if err != nil {
		return nil, err
	}
	for _, part := range scenario.Parts {
		if len(all[part]) == 0 {
			return nil, fmt.Errorf("the project %s has no container of %s; ./scripts/up --docker starts it", project, part)
		}
	}
	for place := 0; len(all[platform.Queue(place)]) > 0; place++ {
		c.queues = append(c.queues, platform.Queue(place))
	}
	if ui := all["jaeger"]; jaeger == "" && len(ui) > 0 {
		jaeger = ui[0].Published()
	}
	c.at = target.Addresses{Jaeger: jaeger,
		Vote: all[platform.Vote][0].Published(), Result: all[platform.Result][0].Published()}
	if c.at.Vote == "" || c.at.Result == "" {
		return nil, errors.New("the container of vote or of result publishes no port")
	}
	c.journal, err = journalOf(project)
	return c, err
}

// defaultProject asks Compose, which reads .env and the Compose files. Elsewhere than among these, the name is the
// platform's own.
func defaultProject(ctx context.Context) string {
	var config struct{ Name string }
	if out, err := containers.Docker(ctx, "compose", "config", "--format", "json"); err == nil {
		_ = json.Unmarshal([]byte(out), &config) // no name leaves the default
	}
	return cmp.Or(config.Name, os.Getenv("COMPOSE_PROJECT_NAME"), "petvote")
}

func (c *Target) Queues() int { return len(c.queues) }

func (c *Target) Addresses() target.Addresses { return c.at }

func (c *Target) Sampling() time.Duration { return time.Second } // each reading starts a process in a container

func (c *Target) Close(context.Context) error { return c.journal.lock.Close() }

// Health asks the service's own program, as the container's health check does.
func (c *Target) Health(ctx context.Context, service string) (h target.Health, err error) {
	list, err := c.Of(ctx, service)
	if err != nil {
		return h, err
	}
	out, err := containers.Docker(ctx, "exec", list[0].ID, "/app/"+service, "health")
	if json.Unmarshal([]byte(out), &h) != nil {
		return h, cmp.Or(err, errors.New("no answer"))
	}
	return h, nil // the status may well be "unavailable"
}

func (c *Target) Lives(ctx context.Context) (map[string]string, error) {
	all, err := c.All(ctx)
	if err != nil {
		return nil, err
	}
	lives := make(map[string]string, len(platform.Services))
	for _, service := range platform.Services {
		for _, one := range all[service] {
			lives[service] += fmt.Sprint(one.ID, one.State.Running, one.State.StartedAt, one.RestartCount, " ")
		}
	}
	return lives, nil
}

func only(list []containers.Container, which func(containers.Container) bool) []containers.Container {
	return slices.DeleteFunc(slices.Clone(list), func(one containers.Container) bool { return !which(one) })
}
