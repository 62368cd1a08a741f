package main

import (
	"errors"
	"fmt"
	"io"

	"petvote/infra/platform"
	"petvote/infra/tool"
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

// parse reads flags and environment, like tool.Parse; a flag wins. It complains about every bad variable.
func parse(args []string, getenv func(string) string, out io.Writer) (o *options, status int, ok bool) {
	o = new(options)
	o.wanted = localPorts(&o.ports)
	flags := tool.Flags("up", usage, out)
	docker := flags.Bool("docker", false, "use Docker Compose, or fail")
	local := flags.Bool("local", false, "use processes of this machine")
	flags.StringVar(&o.folder, "data", "",
		"with --local: the `folder` for the data (default /var/lib/petvote for root, else ~/.local/state/petvote)")
	var bad []error
	for _, p := range o.wanted {
		flags.Var(p, p.flag(), fmt.Sprintf("`port` for %s; also by %s", p.purpose, p.variable))
		if text := getenv(p.variable); text != "" {
			if err := flags.Set(p.flag(), text); err != nil {
				bad = append(bad, fmt.Errorf("%s=%q: %w", p.variable, text, err))
			}
		}
	}
	status, ok = tool.Parse(flags, args, func() (err error) {
		switch {
		case len(bad) > 0:
			return errors.Join(bad...)
		case *docker && *local:
			return errors.New("--docker and --local exclude each other")
		case *docker && o.folder != "":
			return errors.New("--data is for --local; Docker keeps the data in volumes")
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
		if o.folder == "" {
			o.folder, err = defaultFolder(getenv)
		}
		return err
	})
	return o, status, ok
}
