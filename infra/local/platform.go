package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"petvote/infra/servers"
)

// Config says how to run the platform.
type Config struct {
	Source  string   // the root of the repository, from which the services are built
	Folder  string   // holds data and programs
	Ports   *Ports   // where everything listens
	Environ []string // the user's environment, which reaches the services, except for what the platform sets itself
	Output  io.Writer
	Colour  bool // whether Output shows colours
}

// The parts, by the names in the log.
const (
	redisName    = "redis"
	postgresName = "postgres"
	resultName   = "result"
	workerName   = "worker"
	voteName     = "vote"
)

// stopWithin bounds the stop of each part: enough for a service to finish what is in hand, and for PostgreSQL's last checkpoint.
const stopWithin = 30 * time.Second

// Run runs the platform until stop is done, and then stops it in order: vote, worker and result, so that what was accepted is
// stored and shown, then PostgreSQL and Redis. When kill is done too, it kills what is left. Nothing is left running when it
// returns. An end that was asked for is no error.
func Run(stop, kill context.Context, cfg Config) (err error) {
	home, err := takeFolder(cfg.Folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, home.release()) }()
	if err := cfg.Ports.Check(); err != nil {
		return err
	}
	log := NewLog(cfg.Output, cfg.Colour, redisName, postgresName, resultName, workerName, voteName)
	parts, err := describe(cfg, home, log)
	if err != nil {
		return err
	}
	if err := build(stop, cfg, home, log); err != nil {
		return unlessAsked(stop, err)
	}
	supervisor := NewSupervisor(log, DefaultBackoff)
	err = start(stop, supervisor, parts, cfg, log)
	if err == nil {
		log.Show(summary(cfg, home, parts))
		<-stop.Done()
	}
	log.Say("stopping (once more to kill)")
	return errors.Join(unlessAsked(stop, err), supervisor.Stop(kill, stopWithin))
}

// start starts the parts and waits until every service is ready.
func start(ctx context.Context, supervisor *Supervisor, parts []Part, cfg Config, log *Log) error {
	for _, part := range parts {
		log.Say("starting %s", part.Name)
		if err := supervisor.Start(ctx, part); err != nil {
			return err
		}
	}
	return AwaitReady(ctx, map[string]string{
		voteName:   endpoint(cfg.Ports.VoteOps, "/readyz"),
		workerName: endpoint(cfg.Ports.WorkerOps, "/readyz"),
		resultName: endpoint(cfg.Ports.ResultOps, "/readyz"),
	})
}

// unlessAsked drops an error that came only because the user ended the start.
func unlessAsked(stop context.Context, err error) error {
	if stop.Err() != nil {
		return nil
	}
	return err
}

// describe gives the parts in the order of their start, which is the reverse of their stop.
func describe(cfg Config, home *folder, log *Log) ([]Part, error) {
	redis, err := servers.NewRedis(servers.RedisConfig{
		Dir: home.join(redisName), Port: cfg.Ports.Redis.Number, Output: log.Part(redisName),
	})
	if err != nil {
		return nil, err
	}
	postgres, err := servers.NewPostgres(servers.PostgresConfig{
		Dir: home.join(postgresName), Port: cfg.Ports.Postgres.Number, Output: log.Part(postgresName),
	})
	if err != nil {
		return nil, err
	}
	parts := []Part{{redisName, redis}, {postgresName, postgres}}
	for _, service := range []struct {
		name        string
		environment []string
	}{
		{resultName, []string{"PORT=" + number(cfg.Ports.Result), "OPS_PORT=" + number(cfg.Ports.ResultOps)}},
		{workerName, []string{"OPS_PORT=" + number(cfg.Ports.WorkerOps), "CONSUMER_NAME=worker-1"}},
		{voteName, []string{"PORT=" + number(cfg.Ports.Vote), "OPS_PORT=" + number(cfg.Ports.VoteOps)}},
	} {
		parts = append(parts, Part{service.name, servers.NewProcess(servers.Spec{
			Name:   service.name,
			Path:   home.join("bin/" + service.name),
			Dir:    home.path,
			Env:    append(environment(cfg), service.environment...),
			Output: log.Part(service.name),
		})})
	}
	return parts, nil
}

// environment is what all services get. The user's own variables go first, OTEL_* and LOG_LEVEL among them, so that where a
// name is there twice the platform's value holds; those that would lead a service to another server are left out.
func environment(cfg Config) []string {
	result := []string{
		"LOG_FORMAT=text",       // for a person at a terminal
		"LISTEN_HOST=127.0.0.1", // as Redis and PostgreSQL
		"VOTE_URL=" + endpoint(cfg.Ports.Vote, ""),
		"RESULT_URL=" + endpoint(cfg.Ports.Result, ""),
	}
	for _, variable := range cfg.Environ {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "REDIS_") || strings.HasPrefix(name, "POSTGRES_") || strings.HasPrefix(name, "DATABASE_") {
			continue
		}
		result = append(result, variable)
	}
	return append(result,
		"REDIS_HOST="+servers.Loopback, "REDIS_PORT="+number(cfg.Ports.Redis),
		"POSTGRES_HOST="+servers.Loopback, "POSTGRES_PORT="+number(cfg.Ports.Postgres),
		"POSTGRES_USER=petvote", "POSTGRES_PASSWORD=petvote", "POSTGRES_DB=petvote",
	)
}

// build compiles the services into the data folder.
func build(ctx context.Context, cfg Config, home *folder, log *Log) error {
	log.Say("building the services")
	return servers.Run(ctx, servers.Spec{
		Name: "go build",
		Path: "go",
		Args: []string{"build", "-buildvcs=false", "-tags=grpcnotrace", "-o", home.join("bin") + "/", "./services/vote", "./services/worker", "./services/result"},
		Dir:  cfg.Source,
	})
}

func number(p Port) string { return strconv.Itoa(p.Number) }

func endpoint(p Port, path string) string {
	return fmt.Sprintf("http://localhost:%d%s", p.Number, path)
}
