// Command up runs the whole platform on this machine until Ctrl-C. ./scripts/up builds and starts it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"petvote/infra/platform"
	"petvote/shared/lifecycle"
)

// ends are the signals that end the platform.
var ends = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if lifecycle.PrintVersion(os.Stdout, "up", args) {
		return 0
	}
	o, status, ok := parse(args, os.Getenv, os.Stderr)
	if !ok {
		return status
	}
	// stop is done at the first Ctrl-C, SIGTERM or closed terminal, kill at the second.
	stop, release := signal.NotifyContext(context.Background(), ends...)
	defer release()
	kill, cancel := context.WithCancelCause(context.Background())
	context.AfterFunc(stop, func() {
		again, release := signal.NotifyContext(context.Background(), ends...)
		defer release()
		<-again.Done()
		cancel(errors.New("interrupted a second time"))
	})
	if err := up(stop, kill, o); err != nil {
		fmt.Fprintf(os.Stderr, "up: %v\n", err)
		return 1
	}
	return 0
}

// up runs the platform, by Docker Compose or as processes, until stop is done.
func up(stop, kill context.Context, o *options) error {
	source, err := os.Getwd() // ./scripts/up goes to the root of the repository
	if err != nil {
		return err
	}
	if o.mode != modeLocal {
		docker, err := findDocker(stop)
		switch {
		case err == nil:
			return runCompose(stop, kill, docker, o.set)
		case o.mode == modeDocker:
			return fmt.Errorf("docker compose can't be used: %w", err)
		}
		fmt.Printf("Docker Compose can't be used (%v): running as local processes.\n", err)
	}
	if err := platform.Install(stop, source, os.Stdout); err != nil {
		return err
	}
	return runLocal(stop, kill, source, o)
}
