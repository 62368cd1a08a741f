package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"petvote/infra/containers"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/wait"
)

// jaeger is the overlay's collector in a container of its own.
type jaeger struct{ name, container, endpoint, lookup string }

var jaegerImage = regexp.MustCompile(`(?m)^\s*image: (\S*/jaeger:(\S+))`)

// startJaeger starts the image that the overlay names, with the overlay's settings and limits.
func (b *bench) startJaeger(ctx context.Context) (*jaeger, error) {
	if _, err := containers.Docker(ctx, "info"); err != nil {
		return nil, fmt.Errorf("%w: no collector here, since no Docker engine answers", errNotMeasured)
	}
	overlay, err := os.ReadFile(filepath.Join(b.source, "docker-compose.observability.yml"))
	if err != nil {
		return nil, err
	}
	image := jaegerImage.FindSubmatch(overlay)
	if image == nil {
		return nil, errors.New("the overlay names no image of Jaeger")
	}
	otlp, errOTLP := servers.FreePort()
	query, errQuery := servers.FreePort()
	if err := errors.Join(errOTLP, errQuery); err != nil {
		return nil, err
	}
	j := &jaeger{
		name: "Jaeger " + string(image[2]), container: "petvote-bench-" + strconv.Itoa(os.Getpid()),
		endpoint: fmt.Sprintf("http://%s:%d", servers.Loopback, otlp),
		lookup:   fmt.Sprintf("http://%s:%d/api/services", servers.Loopback, query),
	}
	_, err = containers.Docker(ctx, "run", "--detach", "--rm", "--name", j.container, "-m", "768m",
		"-e", "GOMEMLIMIT=640MiB", "-v", filepath.Join(b.source, "observability/jaeger")+":/etc/jaeger:ro,z",
		"-p", fmt.Sprintf("%s:%d:4318", servers.Loopback, otlp),
		"-p", fmt.Sprintf("%s:%d:16686", servers.Loopback, query),
		string(image[1]), "--config=/etc/jaeger/config.yaml")
	if err == nil {
		err = wait.Until(ctx, time.Minute, func(ctx context.Context) error { return platform.Probe(ctx, j.lookup) })
	}
	if err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
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
	return containers.Remove(ctx, j.container)
}
