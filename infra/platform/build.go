package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"petvote/infra/servers"
)

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
