package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"petvote/infra/servers"
)

// jaeger is the overlay's, in a container of its own.
type jaeger struct {
	*servers.Process
	name, container  string
	endpoint, lookup string
}

var jaegerImage = regexp.MustCompile(`(?m)^\s*image: (\S*/jaeger:\S+)`)

// startJaeger starts the collector that the overlay names, with its settings and limits.
func (b *bench) startJaeger(ctx context.Context) (*jaeger, error) {
	if err := exec.CommandContext(ctx, "docker", "info").Run(); err != nil {
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
	otlp, err := servers.FreePort()
	if err != nil {
		return nil, err
	}
	query, err := servers.FreePort()
	if err != nil {
		return nil, err
	}
	_, version, _ := strings.Cut(string(image[1]), ":")
	j := &jaeger{
		name: "Jaeger " + version, container: "petvote-bench-" + strconv.Itoa(os.Getpid()),
		endpoint: fmt.Sprintf("http://%s:%d", servers.Loopback, otlp), lookup: fmt.Sprintf("http://%s:%d/api/services", servers.Loopback, query),
	}
	j.Process = servers.NewProcess(servers.Spec{
		Name: "jaeger", Path: "docker", Ready: func(ctx context.Context, _ int) error { return j.ready(ctx) },
		Args: []string{"run", "--rm", "--name", j.container, "-m", "768m", "-e", "GOMEMLIMIT=640MiB",
			"-v", filepath.Join(b.source, "observability/jaeger") + ":/etc/jaeger:ro",
			"-p", fmt.Sprintf("%s:%d:4318", servers.Loopback, otlp), "-p", fmt.Sprintf("%s:%d:16686", servers.Loopback, query),
			string(image[1]), "--config=/etc/jaeger/config.yaml"},
	})
	if err := j.Start(ctx); err != nil {
		return nil, errors.Join(err, j.remove())
	}
	return j, nil
}

func (j *jaeger) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, j.endpoint+"/v1/traces", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("jaeger answers with status %d", resp.StatusCode)
	}
	return nil
}

// knows makes sure that traces of a service have arrived.
func (j *jaeger) knows(ctx context.Context, service string) error {
	var found struct {
		Data []string `json:"data"`
	}
	if err := get(ctx, j.lookup, &found); err != nil {
		return err
	}
	if !slices.Contains(found.Data, service) {
		return fmt.Errorf("jaeger has no trace of %s", service)
	}
	return nil
}

func (j *jaeger) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return errors.Join(j.Stop(ctx), j.remove())
}

// remove takes away what the end of docker's client may have left.
func (j *jaeger) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", "rm", "-f", j.container).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "No such container") {
		return fmt.Errorf("remove jaeger's container: %w: %s", err, out)
	}
	return nil
}
