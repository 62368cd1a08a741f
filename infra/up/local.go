package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/tool"
)

// stopLimit bounds the stop of each part: enough for a service to finish its work in hand, and for PostgreSQL's last
// checkpoint.
const stopLimit = 30 * time.Second

// runLocal runs the platform until stop is done, and then stops it in order: vote, worker and result, so that every
// accepted vote is stored and shown, then PostgreSQL and Redis. When kill is done, it kills the rest. Nothing is left
// running when it returns. An end that was asked for is no error.
func runLocal(stop, kill context.Context, source string, o *options) (err error) {
	home, err := filepath.Abs(o.folder)
	if err != nil {
		return err
	}
	lock, err := tool.Lock(filepath.Join(home, "lock"))
	if errors.Is(err, tool.ErrLocked) {
		err = fmt.Errorf("another platform runs with the data in %s: stop it first, or use another folder with --data, "+
			"and other ports: %w", home, err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	second := filepath.Join(home, platform.Queue(1))
	if _, err := os.Stat(second); err == nil && o.queues < 2 {
		return secondQueue(second, "rm -r "+second)
	}
	if err := checkPorts(o.wanted); err != nil {
		return err
	}
	log := newLog(os.Stdout)
	bin := filepath.Join(home, "bin")
	link := func(port int) string { return fmt.Sprintf(":%d%s", port, basePath()) }
	p, err := platform.New(platform.Options{
		Dir: home, Bin: bin, Output: log.part, Live: true, Ports: o.ports, Queues: o.queues,
		Env: append([]string{ // pages know each other by the name in the browser's address
			"LOG_FORMAT=text", "VOTE_URL=" + link(o.ports.Vote), "RESULT_URL=" + link(o.ports.Result),
		}, platform.Environ(os.Environ())...),
		Postgres: func(c *servers.PostgresConfig) { c.Initdb = true }, // the data are kept
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Release()) }()
	supervisor := &supervisor{log: log, backoff: defaultBackoff}
	log.say("building the services")
	if err = platform.Build(stop, source, bin); err == nil {
		err = start(stop, supervisor, p)
	}
	if err == nil {
		fmt.Print(summary(o.ports, home, supervisor.keepers))
		<-stop.Done()
	}
	if stop.Err() != nil {
		err = nil // it came only because the user ended the start
	}
	log.say("stopping (once more to kill)")
	return errors.Join(err, supervisor.stop(kill, stopLimit))
}

// start starts the parts in order and waits until every service is ready.
func start(ctx context.Context, s *supervisor, p *platform.Platform) error {
	for _, name := range p.Parts() {
		program, err := p.Part(name)
		if err == nil && name == platform.Result { // it logs each time that it finds no tables
			migration := p.Service(platform.Worker).Spec
			migration.Args = append(slices.Clone(migration.Args), "migrate")
			err = servers.Run(ctx, migration)
		}
		if err == nil {
			s.log.say("starting %s", name)
			err = s.start(ctx, program)
		}
		if err != nil {
			return err
		}
	}
	return p.Ready(ctx)
}

func summary(p platform.Ports, data string, parts []keeper) string {
	var pids []string
	for _, k := range parts {
		pids = append(pids, fmt.Sprintf("%s %d", k.Name(), k.PID()))
	}
	return fmt.Sprintf(`
petvote is ready

  vote        %s
  results     %s
  metrics     %s (vote)  %s (worker)  %s (result)
              /healthz and /readyz are there too
  by hand     curl -H 'Content-Type: application/json' -d '{"pet":"dogs"}' %s
  processes   %s
              kill -9 any of them: it is started again, and no accepted vote is lost
  data        %s
  stop        Ctrl-C

`, localURL(p.Vote, basePath()), localURL(p.Result, basePath()),
		localURL(p.VoteOps, "/metrics"), localURL(p.WorkerOps, "/metrics"), localURL(p.ResultOps, "/metrics"),
		localURL(p.Vote, "/vote"), strings.Join(pids, "  "), data)
}

// basePath is the path that the environment gives both services.
func basePath() string { return strings.TrimRight("/"+strings.Trim(os.Getenv("BASE_PATH"), "/"), "/") }

func localURL(port int, path string) string { return fmt.Sprintf("http://localhost:%d%s", port, path) }

// defaultFolder is /var/lib/petvote for root, whose home the servers' users can't enter, and for others a folder for
// state according to the XDG Base Directory Specification.
func defaultFolder(getenv func(string) string) (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/petvote", nil
	}
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "petvote"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the data: %w (say one with --data)", err)
	}
	return filepath.Join(home, ".local", "state", "petvote"), nil
}
