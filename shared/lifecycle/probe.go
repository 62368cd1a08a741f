package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"petvote/shared/config"
)

// Probe asks the service that runs with the same environment whether it is ready and writes its answer, with each
// dependency's state, to out. It is the health check of the images, which have neither a shell nor curl.
func Probe(ctx context.Context, environ []string, out io.Writer) error {
	var c config.Service
	if err := config.Load(environ, &c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	url := "http://" + c.OpsPort.On(cmp.Or(c.Host, "127.0.0.1")) + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(out, io.LimitReader(resp.Body, 16<<10)); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New("not ready")
	}
	return nil
}

// Subcommand runs a command other than the service itself; done reports whether there was one. more are lines of the
// usage for commands that the caller handles.
func Subcommand(ctx context.Context, service string, args, environ []string, more ...string) (done bool, err error) {
	usage := "usage: " + service + "            run the service, configured by its environment"
	for _, line := range append([]string{
		"health     ask the running service whether it is ready",
		"version    print the version",
	}, more...) {
		usage += "\n       " + service + " " + line
	}
	if PrintVersion(os.Stdout, service, args) {
		return true, nil
	}
	switch command := strings.Join(args, " "); command {
	case "":
		return false, nil
	case "health":
		return true, Probe(ctx, environ, os.Stdout)
	case "help", "-h", "--help":
		fmt.Println(usage)
		return true, nil
	default:
		return true, fmt.Errorf("unknown command %q\n%s", command, usage)
	}
}
