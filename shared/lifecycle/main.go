// Package lifecycle is the life of every service: start, serve, report its health, and stop in order.
//
// The order of a stop: turn unready, wait until callers have noticed, stop accepting, finish the work in hand, run the
// clean-ups in reverse order of the set-up. So clients close after their users. Telemetry starts first and ends last.
package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"petvote/shared/config"
)

// Main runs a program until it returns, then its clean-ups. The first SIGINT or SIGTERM cancels its context; a second
// one ends the process at once. Main returns the exit status: 0, or 1 after printing the error on standard error.
func Main(name string, run func(ctx context.Context, args, environ []string, cleanups *Cleanups) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	var cleanups Cleanups
	err := run(ctx, os.Args[1:], os.Environ(), &cleanups)
	if err = errors.Join(err, cleanups.Run()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// Subcommand runs a command other than the service itself, if args name one. more has the usage of the caller's own.
func Subcommand(service string, args, environ []string, more ...string) (done bool, err error) {
	commands := append([]string{
		"health     ask the running service whether it is ready",
		"version    print the version",
	}, more...)
	usage := "usage: " + service + " [command]\n\nWithout a command it runs the service, configured by its environment. " +
		"Commands:\n  " + service + " " + strings.Join(commands, "\n  "+service+" ")
	if PrintVersion(os.Stdout, service, args) {
		return true, nil
	}
	switch command := strings.Join(args, " "); {
	case command == "":
		return false, nil
	case command == "health":
		return true, Probe(environ, os.Stdout)
	case WantsHelp(args):
		fmt.Println(usage)
		return true, nil
	default:
		return true, fmt.Errorf("unknown command %q\n%s", command, usage)
	}
}

// WantsHelp reports whether arguments ask for the usage: by "help" in the first place, or by a flag anywhere.
func WantsHelp(args []string) bool {
	return len(args) > 0 && args[0] == "help" || slices.ContainsFunc(args, func(arg string) bool {
		return slices.Contains([]string{"-h", "-help", "--help"}, arg)
	})
}

// Probe asks the service that runs with the same environment whether it is ready and writes its answer, with each
// dependency's state, to out. It is the health check of the images, which have neither a shell nor curl.
func Probe(environ []string, out io.Writer) error {
	var c config.Service
	if err := config.Load(environ, &c); err != nil {
		return err
	}
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + c.OpsPort.On(cmp.Or(c.Host, "127.0.0.1")) + "/readyz")
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

// version and revision are set by the linker in builds that Go can't stamp, such as the images':
//
//	go build -ldflags='-X petvote/shared/lifecycle.version=v1.2.0 -X petvote/shared/lifecycle.revision=0f3c…'
var version, revision string

// Build identifies the source of the running program.
type Build struct {
	Version  string // the tag, or "devel" without one, as with go run
	Revision string // the commit, with "-dirty" if the source differed, or "unknown"
	Go       string
}

// ThisBuild returns the linker's values, else Go's own stamp.
func ThisBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildOf(version, revision, info)
}

func buildOf(version, revision string, info *debug.BuildInfo) Build {
	var stamped, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			stamped = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if stamped != "" {
		stamped += dirty
	}
	if info.Main.Version != "(devel)" {
		version = cmp.Or(version, info.Main.Version)
	}
	return Build{cmp.Or(version, "devel"), cmp.Or(revision, stamped, "unknown"), runtime.Version()}
}

func (b Build) String() string {
	return fmt.Sprintf("%s (revision %s, %s, %s/%s)", b.Version, b.Revision, b.Go, runtime.GOOS, runtime.GOARCH)
}

// PrintVersion prints the program's version if the arguments ask for it; it reports whether they do.
func PrintVersion(out io.Writer, program string, args []string) bool {
	asked := len(args) == 1 && slices.Contains([]string{"version", "--version", "-version"}, args[0])
	if asked {
		fmt.Fprintln(out, program, ThisBuild())
	}
	return asked
}
