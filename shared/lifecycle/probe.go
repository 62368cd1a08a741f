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

// Subcommand runs a command other than the service itself; done reports whether there was one.
func Subcommand(ctx context.Context, service string, args, environ []string) (done bool, err error) {
	switch {
	case len(args) == 0:
		return false, nil
	case len(args) == 1 && args[0] == "health":
		return true, Probe(ctx, environ, os.Stdout)
	case PrintVersion(os.Stdout, service, args):
		return true, nil
	}
	return true, fmt.Errorf(`unknown command %q
usage: %[2]s            run the service, configured by its environment
       %[2]s health     ask the running service whether it is ready
       %[2]s version    print the version`, strings.Join(args, " "), service)
}
