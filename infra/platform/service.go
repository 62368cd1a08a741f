package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"petvote/infra/servers"
)

// Service is one of the platform's programs as a process. It keeps its ports over all starts.
type Service struct {
	*servers.Process
	Port, Ops int // the public port, which the worker does not serve, and the one for operators
	Spec      servers.Spec
}

func (s *Service) takePorts(port, ops int) (err error) {
	s.Port, s.Ops = port, ops
	for _, p := range []*int{&s.Port, &s.Ops} {
		if *p == 0 && err == nil {
			*p, err = servers.FreePort()
		}
	}
	return err
}

// Describe returns one more instance of a service, on ports of its own, without starting it. The caller stops it.
func (p *Platform) Describe(name string, env ...string) (*Service, error) {
	s := new(Service)
	if err := s.takePorts(0, 0); err != nil {
		return nil, err
	}
	p.describe(s, name, env...)
	return s, nil
}

func (p *Platform) describe(s *Service, name string, env ...string) {
	command := p.options.Commands[name]
	if len(command) == 0 {
		command = []string{filepath.Join(p.options.Bin, name)}
	}
	started := s.Ready
	if p.options.Live {
		started = s.Live
	}
	s.Spec = servers.Spec{
		Name: name, Path: command[0], Args: command[1:], Dir: p.options.Dir, Env: p.environment(s, name, env),
		Output: p.options.Output(name), Ready: func(ctx context.Context, _ int) error { return started(ctx) },
	}
	s.Process = servers.NewProcess(s.Spec)
}

// Addr is host:port.
func (s *Service) Addr() string { return net.JoinHostPort(servers.Loopback, strconv.Itoa(s.Port)) }

// URL is the address of a path on the public port.
func (s *Service) URL(path string) string { return "http://" + s.Addr() + path }

// OpsURL is the address of a path on the operators' port.
func (s *Service) OpsURL(path string) string {
	return fmt.Sprintf("http://%s:%d%s", servers.Loopback, s.Ops, path)
}

// Ready returns nil if the service says that it is ready.
func (s *Service) Ready(ctx context.Context) error { return Probe(ctx, s.OpsURL("/readyz")) }

// Live returns nil if the service says that it is live.
func (s *Service) Live(ctx context.Context) error { return Probe(ctx, s.OpsURL("/healthz")) }

// Probe asks an address, which must answer with status 200.
func Probe(ctx context.Context, url string) error { return Get(ctx, url, nil) }

// Get reads the JSON that an address answers with; into may be nil. Another status than 200 is an error, after the
// reading.
func Get(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && into != nil {
		err = json.Unmarshal(body, into)
	}
	switch {
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s: %s", url, response.Status, body[:min(len(body), 4<<10)])
	case err != nil:
		return fmt.Errorf("%s: %w", url, err)
	}
	return nil
}

// Root returns the root of the repository, from which the services are built. This process must run inside it.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	root := strings.TrimSpace(string(out))
	if err == nil {
		_, err = os.Stat(filepath.Join(root, "services", Vote, "main.go"))
	}
	if err != nil {
		return "", errors.Join(errors.New("find the repository (run this inside of it)"), err)
	}
	return root, nil
}

// Install installs the servers' programs that are missing.
func Install(ctx context.Context, root string, out io.Writer) error {
	return servers.Run(ctx, servers.Spec{Name: "install", Path: "./infra/packages/install",
		Args: []string{"redis", "postgresql"}, Dir: root, Output: out})
}

// Build compiles the services into a folder, with further flags for go build.
func Build(ctx context.Context, root, dir string, flags ...string) error {
	// The version comes from ./scripts/up: Go's own stamp fails where git refuses a checkout of another user. Without
	// grpcnotrace the programs are a third larger.
	version := fmt.Sprintf("-ldflags=-X petvote/shared/lifecycle.version=%s -X petvote/shared/lifecycle.revision=%s",
		os.Getenv("PETVOTE_VERSION"), os.Getenv("PETVOTE_REVISION"))
	args := append([]string{"build", "-buildvcs=false", version, "-tags=grpcnotrace",
		"-o", dir + string(filepath.Separator)}, flags...)
	for _, name := range Services {
		args = append(args, "./services/"+name)
	}
	return servers.Run(ctx, servers.Spec{Name: "go build", Path: "go", Args: args, Dir: root})
}

// Programs returns a folder with the services' programs: PETVOTE_BIN, so that several test programs share one build,
// else dir after building them into it.
func Programs(ctx context.Context, root, dir string, flags ...string) (string, error) {
	if shared := os.Getenv("PETVOTE_BIN"); shared != "" {
		if _, err := os.Stat(filepath.Join(shared, Vote)); err != nil {
			return "", fmt.Errorf("PETVOTE_BIN: %w", err)
		}
		return shared, nil
	}
	return dir, Build(ctx, root, dir, flags...)
}
