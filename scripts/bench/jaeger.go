package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"petvote/infra/containers"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/wait"
)

// jaeger is the overlay's collector, in a Compose project of its own.
type jaeger struct {
	project          []string // the environment in which Docker Compose finds it
	ports            string   // a further overlay
	endpoint, lookup string
}

// startJaeger starts it with the image, settings and limits of the overlay.
func (b *bench) startJaeger(ctx context.Context) (*jaeger, error) {
	if _, err := containers.Docker(ctx, "info"); err != nil {
		return nil, fmt.Errorf("%w: no collector here, since no Docker engine answers", errNotMeasured)
	}
	otlp, errOTLP := servers.FreePort()
	query, errQuery := servers.FreePort()
	if err := errors.Join(errOTLP, errQuery); err != nil {
		return nil, err
	}
	j := &jaeger{
		project: []string{
			fmt.Sprintf("COMPOSE_PROJECT_NAME=petvote-bench-%d", os.Getpid()),
			fmt.Sprintf("COMPOSE_FILE=%[1]s/docker-compose.yml:%[1]s/docker-compose.observability.yml:-", b.source),
			fmt.Sprintf("JAEGER_PORT=%d", query),
		},
		ports:    fmt.Sprintf(`services: { jaeger: { ports: ["%s:%d:4318"] } }`, servers.Loopback, otlp),
		endpoint: fmt.Sprintf("http://%s:%d", servers.Loopback, otlp),
		lookup:   fmt.Sprintf("http://%s:%d/api/services", servers.Loopback, query),
	}
	err := j.compose(ctx, "up", "--detach", "--no-deps", "jaeger")
	if err == nil {
		err = wait.Until(ctx, time.Minute, func(ctx context.Context) error { return platform.Probe(ctx, j.lookup) })
	}
	if err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

func (j *jaeger) compose(ctx context.Context, args ...string) error {
	_, err := containers.DockerWith(ctx, j.project, j.ports, append([]string{"compose"}, args...)...)
	return err
}

// knows checks that traces of a service have arrived.
func (j *jaeger) knows(ctx context.Context, service string) error {
	var found struct{ Data []string }
	err := platform.Get(ctx, j.lookup, &found)
	if err == nil && !slices.Contains(found.Data, service) {
		err = fmt.Errorf("jaeger has no trace of %s", service)
	}
	return err
}

func (j *jaeger) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return j.compose(ctx, "down", "--volumes")
}
