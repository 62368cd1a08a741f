// Command up runs the whole platform on this machine until it is told to stop. ./scripts/up builds and starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"petvote/infra/servers"
	"petvote/shared/lifecycle"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if lifecycle.PrintVersion(os.Stdout, "up", args) {
		return 0
	}
	o, err := parse(args, os.Getenv, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	stop, kill, release := signals()
	defer release()
	if err := up(stop, kill, o); err != nil {
		fmt.Fprintf(os.Stderr, "up: %v\n", err)
		return 1
	}
	return 0
}

// up chooses the mode and runs it until stop is done.
func up(stop, kill context.Context, o options) error {
	source, err := os.Getwd() // ./scripts/up goes to the root of the repository
	if err != nil {
		return err
	}
	if o.mode != modeLocal {
		docker, err := findDocker(stop)
		switch {
		case err == nil:
			return runCompose(stop, kill, docker, source, o.set)
		case o.mode == modeDocker:
			return fmt.Errorf("docker compose can't be used: %w", err)
		}
		fmt.Printf("Docker Compose can't be used (%v): running as local processes.\n", err)
	}
	if err := install(stop, source, os.Stdout); err != nil {
		return err
	}
	return runLocal(stop, kill, localConfig{
		source: source, folder: o.folder, ports: o.ports, environ: os.Environ(),
		out: os.Stdout, colour: WantsColour(os.Stdout, os.Getenv),
	})
}

// install installs the servers if this machine lacks them. It says what it does, or what a person has to do.
func install(ctx context.Context, source string, out io.Writer) error {
	return servers.Run(ctx, servers.Spec{
		Name: "install", Path: "./infra/packages/install", Args: []string{"redis", "postgresql"}, Dir: source, Output: out,
	})
}
