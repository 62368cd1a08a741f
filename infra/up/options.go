package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"petvote/infra/platform"
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
	ports  platform.Ports
	wanted []*port  // the same ports, described
	set    []string // the ports set by a flag or the environment, as the variables that the Compose files read
}

const usage = `Usage: ./scripts/up [--docker | --local] [--data DIR] [--vote-port N ...]

Runs the whole platform until Ctrl-C: by Docker Compose, with Jaeger, Prometheus and Grafana, if a Docker
engine answers; else as processes of this machine, with Redis and PostgreSQL, installed if missing.

`

// parse reads flags and environment; a flag wins. With --help it writes the help to out and returns flag.ErrHelp. Its
// error names every bad variable.
func parse(args []string, getenv func(string) string, out io.Writer) (*options, error) {
	o := new(options)
	o.wanted = localPorts(&o.ports)
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	docker := flags.Bool("docker", false, "use Docker Compose, or fail")
	local := flags.Bool("local", false, "use processes of this machine")
	flags.StringVar(&o.folder, "data", "",
		"with --local: the `folder` for the data (default /var/lib/petvote for root, else ~/.local/state/petvote)")
	var bad []error
	for _, p := range o.wanted {
		flags.Var(p, p.flag(), fmt.Sprintf("`port` for %s; also by %s", p.purpose, p.variable))
		if text := getenv(p.variable); text != "" {
			if err := flags.Set(p.flag(), text); err != nil {
				bad = append(bad, fmt.Errorf("up: %s=%q: %w", p.variable, text, err))
			}
		}
	}
	if err := errors.Join(bad...); err != nil {
		return nil, err
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("up: unexpected argument %q; see --help", flags.Arg(0))
	case *docker && *local:
		return nil, errors.New("up: --docker and --local exclude each other")
	case *docker && o.folder != "":
		return nil, errors.New("up: --data is for --local; Docker keeps the data in volumes")
	case *docker:
		o.mode = modeDocker
	case *local || o.folder != "":
		o.mode = modeLocal
	}
	for _, p := range o.wanted {
		if flags.Lookup(p.flag()).DefValue != p.String() {
			o.set = append(o.set, fmt.Sprintf("%s=%v", p.variable, p))
		}
	}
	var err error
	if o.folder == "" {
		o.folder, err = defaultFolder(getenv)
	}
	return o, err
}
