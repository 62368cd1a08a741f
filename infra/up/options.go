package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"petvote/infra/platform"
	"petvote/infra/servers"
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
	queues int
	ports  platform.Ports
	wanted []*port  // the same ports, described
	set    []string // what a flag or the environment sets, as the variables that the Compose files read
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
	flags.IntVar(&o.queues, "queues", 1, "`number` of queues, each a Redis of its own: 1 or 2")
	for _, p := range o.wanted {
		flags.IntVar(p.number, p.flag(), *p.number, fmt.Sprintf("`port` for %s; also by %s", p.purpose, p.variable))
		if text := getenv(p.variable); text != "" {
			*p.number, _ = strconv.Atoi(text) // no number leaves 0, which is refused below
		}
	}
	status, ok = tool.Parse(flags, args, func() (err error) {
		var bad []error
		set := make(map[string]bool)
		flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
		for _, p := range o.wanted {
			source := fmt.Sprintf("%s=%q", p.variable, getenv(p.variable))
			if set[p.flag()] {
				source = fmt.Sprintf("--%s=%d", p.flag(), *p.number)
			}
			if n := *p.number; n < 1 || n > 65535 {
				bad = append(bad, fmt.Errorf("%s: want a port from 1 to 65535", source))
			}
			if !set[p.flag()] && getenv(p.variable) == "" {
				continue
			}
			o.set = append(o.set, fmt.Sprintf("%s=%d", p.variable, *p.number))
			if page := p.variable == "VOTE_PORT" || p.variable == "RESULT_PORT"; *docker && !page && set[p.flag()] {
				bad = append(bad, fmt.Errorf("--%s is for --local; Docker publishes no such port", p.flag()))
			}
		}
		if set["queues"] {
			o.set = append(o.set, "TWO_QUEUES="+map[int]string{2: "1"}[o.queues])
		}
		if o.queues == 2 {
			o.wanted = append(o.wanted,
				&port{number: new(o.ports.Redis + 1), variable: "REDIS_PORT", purpose: "the second Redis"})
		}
		switch {
		case len(bad) > 0:
			return errors.Join(bad...)
		case o.queues < 1 || o.queues > 2:
			return errors.New("--queues: want 1 or 2")
		case set["data"] && o.folder == "":
			return errors.New("--data: want a folder")
		case *docker && *local:
			return errors.New("--docker and --local exclude each other")
		case *docker && o.folder != "":
			return errors.New("--data is for --local; Docker keeps the data in volumes")
		case *docker:
			o.mode = modeDocker
		case *local || o.folder != "":
			o.mode = modeLocal
		}
		if o.folder == "" {
			o.folder, err = defaultFolder(getenv)
		}
		return err
	})
	return o, status, ok
}

// secondQueue refuses a start without a queue that may hold votes.
func secondQueue(data, remove string) error {
	return fmt.Errorf("a second queue has left its data in %s, perhaps with votes: --queues 2 stores them, and %s gives "+
		"them up", data, remove)
}

// port is a TCP port that the platform takes on this machine.
type port struct {
	number   *int
	variable string // the environment variable that changes it
	purpose  string
	host     string // the address that it is bound to; "": all
}

// localPorts sets the ports of the local mode to their defaults and describes them. Redis and PostgreSQL are off their
// usual ports, so that they run beside others. A second Redis takes the port after the first one's.
func localPorts(p *platform.Ports) []*port {
	*p = platform.Ports{
		Vote: 8084, Result: 8085, VoteOps: 9464, WorkerOps: 9465, ResultOps: 9466, Redis: 16379, Postgres: 15432,
	}
	return []*port{
		{number: &p.Vote, variable: "VOTE_PORT", purpose: "the vote page"},
		{number: &p.Result, variable: "RESULT_PORT", purpose: "the results page"},
		{number: &p.VoteOps, variable: "VOTE_OPS_PORT", purpose: "metrics and health of vote"},
		{number: &p.WorkerOps, variable: "WORKER_OPS_PORT", purpose: "metrics and health of worker"},
		{number: &p.ResultOps, variable: "RESULT_OPS_PORT", purpose: "metrics and health of result"},
		{number: &p.Redis, variable: "REDIS_PORT", purpose: "Redis"},
		{number: &p.Postgres, variable: "POSTGRES_PORT", purpose: "PostgreSQL"},
	}
}

// flag is the name of the command-line flag that changes the port: vote-port for VOTE_PORT.
func (p *port) flag() string { return strings.ReplaceAll(strings.ToLower(p.variable), "_", "-") }

// choice is how to choose another port: by the flag, which wins, where there is one.
func (p *port) choice() string {
	if slices.ContainsFunc(localPorts(new(platform.Ports)), func(l *port) bool { return l.variable == p.variable }) {
		return "./scripts/up --" + p.flag() + " N"
	}
	return p.variable + "=N ./scripts/up"
}

// checkPorts listens on each port for a moment. Its error names every one that is not free, and how to choose another.
func checkPorts(wanted []*port) error {
	var taken []error
	first := make(map[int]*port)
	for _, p := range wanted {
		if other := first[*p.number]; other != nil {
			taken = append(taken, fmt.Errorf("port %d is wanted twice, for %s and for %s: change %s or %s",
				*p.number, other.purpose, p.purpose, other.variable, p.variable))
			continue
		}
		first[*p.number] = p
		err := p.listen()
		if errors.Is(err, syscall.EADDRINUSE) {
			err = errors.New("another program listens there")
		}
		if err != nil {
			taken = append(taken, fmt.Errorf("port %d, for %s, can't be used (%w): free it, or choose another: %s",
				*p.number, p.purpose, err, p.choice()))
		}
	}
	return errors.Join(taken...)
}

// listen tries the loopback address besides all addresses, since some systems let both be taken independently.
func (p *port) listen() error {
	hosts := []string{p.host}
	if p.host == "" {
		hosts = append(hosts, servers.Loopback)
	}
	for _, host := range hosts {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(*p.number)))
		if err == nil {
			err = listener.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
