package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

type mode int

const (
	modeAny mode = iota // Docker Compose where it works, else local processes
	modeDocker
	modeLocal
)

type options struct {
	mode   mode
	folder string
	ports  *Ports
	// set are the ports that a flag or the environment has set, as environment variables. Compose files read the same names.
	set []string
}

const usage = `Usage: ./scripts/up [--docker | --local] [--data DIR] [--vote-port N ...]

Runs the whole platform until Ctrl-C: by Docker Compose, with Jaeger, Prometheus and Grafana, where an
engine answers; else as processes of this machine, with Redis and PostgreSQL, installed if missing.

`

// parse reads flags and environment; a flag wins. With --help it writes the help to out and gives flag.ErrHelp.
func parse(args []string, getenv func(string) string, out io.Writer) (options, error) {
	o := options{ports: DefaultPorts()}
	defaults := *o.ports
	if err := o.ports.FromEnvironment(getenv); err != nil {
		return options{}, err
	}
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	docker := flags.Bool("docker", false, "use Docker Compose, or fail")
	processes := flags.Bool("local", false, "use processes of this machine")
	flags.StringVar(&o.folder, "data", "", "with --local: the `folder` for the data (default /var/lib/petvote for root, else ~/.local/state/petvote)")
	for _, port := range o.ports.All() {
		flags.IntVar(&port.Number, port.Flag(), port.Number, fmt.Sprintf("port for %s; also by %s", port.Purpose, port.Variable))
	}
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("up: unexpected argument %q; see --help", flags.Arg(0))
	case *docker && *processes:
		return options{}, errors.New("up: --docker and --local exclude each other")
	case *docker && o.folder != "":
		return options{}, errors.New("up: --data is for --local; Docker keeps the data in volumes")
	case *docker:
		o.mode = modeDocker
	case *processes || o.folder != "":
		o.mode = modeLocal
	}
	for i, port := range o.ports.All() {
		if port.Number < 1 || port.Number > 65535 {
			return options{}, fmt.Errorf("up: --%s %d is no port: it must be from 1 to 65535", port.Flag(), port.Number)
		}
		if port.Number != defaults.All()[i].Number {
			o.set = append(o.set, fmt.Sprintf("%s=%d", port.Variable, port.Number))
		}
	}
	if o.folder == "" {
		folder, err := DefaultFolder(getenv)
		if err != nil {
			return options{}, err
		}
		o.folder = folder
	}
	return o, nil
}
