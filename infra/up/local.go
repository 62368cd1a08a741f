package main

import (
	"context"
	"errors"
	"io"
	"time"

	"petvote/infra/platform"
	"petvote/infra/servers"
)

// localConfig says how to run the platform as processes.
type localConfig struct {
	source  string // the root of the repository, from which the services are built
	folder  string // holds data and programs
	ports   *Ports
	environ []string // the user's environment, which reaches the services, except for what the platform sets itself
	out     io.Writer
	colour  bool // whether out shows colours
}

// stopWithin bounds the stop of each part: enough for a service to finish what is in hand, and for PostgreSQL's last checkpoint.
const stopWithin = 30 * time.Second

// runLocal runs the platform until stop is done, and then stops it in order: vote, worker and result, so that what was
// accepted is stored and shown, then PostgreSQL and Redis. When kill is done too, it kills what is left. Nothing is left
// running when it returns. An end that was asked for is no error.
func runLocal(stop, kill context.Context, cfg localConfig) (err error) {
	home, err := takeFolder(cfg.folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, home.release()) }()
	if err := cfg.ports.Check(); err != nil {
		return err
	}
	order := []string{platform.Redis, platform.Postgres, platform.Result, platform.Worker, platform.Vote}
	log := NewLog(cfg.out, cfg.colour, order...)
	p, err := platform.New(platform.Options{
		Dir: home.path, Bin: home.join("bin"), Output: log.Part, Live: true, Ports: cfg.ports.numbers(),
		Env: append([]string{ // pages know each other by the name in the browser's address
			"LOG_FORMAT=text", "VOTE_URL=" + endpoint(cfg.ports.Vote, ""), "RESULT_URL=" + endpoint(cfg.ports.Result, ""),
		}, platform.Environ(cfg.environ)...),
		Postgres: func(c *servers.PostgresConfig) { c.Template = "" }, // the data are kept
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Release()) }()
	log.Say("building the services")
	if err := platform.Build(stop, cfg.source, home.join("bin")); err != nil {
		return unlessAsked(stop, err)
	}
	supervisor := NewSupervisor(log, DefaultBackoff)
	var parts []Part
	for _, name := range order {
		program, err := p.Part(name)
		if err != nil {
			return err
		}
		parts = append(parts, Part{name, program})
	}
	err = start(stop, supervisor, p, parts, log)
	if err == nil {
		log.Show(summary(cfg.ports, home.path, parts))
		<-stop.Done()
	}
	log.Say("stopping (once more to kill)")
	return errors.Join(unlessAsked(stop, err), supervisor.Stop(kill, stopWithin))
}

// start starts the parts and waits until every service is ready.
func start(ctx context.Context, supervisor *Supervisor, p *platform.Platform, parts []Part, log *Log) error {
	for _, part := range parts {
		log.Say("starting %s", part.Name)
		if err := supervisor.Start(ctx, part); err != nil {
			return err
		}
	}
	return p.Ready(ctx)
}

// unlessAsked drops an error that came only because the user ended the start.
func unlessAsked(stop context.Context, err error) error {
	if stop.Err() != nil {
		return nil
	}
	return err
}
