package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	goredis "github.com/redis/go-redis/v9"

	"petvote/infra/platform"
	"petvote/infra/servers"
	waiting "petvote/infra/wait"
	"petvote/shared/config"
	"petvote/shared/votestream"
)

// localTarget is a platform of this run's own: Redis, PostgreSQL and the services as processes of this machine on free ports,
// in a folder that goes with the run, and between each service and each server a proxy that can disturb the network.
type localTarget struct {
	scratch   *servers.Scratch
	redis     *servers.Redis
	postgres  *servers.Postgres
	programs  map[string]*program // the services
	proxies   *proxies
	rdb       *goredis.Client // past the proxies, as everything that looks on
	queue     *votestream.Queue
	db        *pgxpool.Pool
	hog       *hog // holds PostgreSQL's connections; nil: nobody does
	maxMemory string
	jaeger    string
}

// program is a service of the local target.
type program struct {
	*servers.Process
	port, ops int
	spec      servers.Spec
}

func (p *program) url(port int) string {
	return "http://" + servers.Loopback + ":" + strconv.Itoa(port)
}

// localConfig is what a run chooses.
type localConfig struct {
	source  string   // the root of the repository
	environ []string // the user's, of which OTEL_* and the like reach the services
	naive   bool     // replaces the worker by one that pops a vote and then writes it
	log     io.Writer
	jaeger  string
}

// newLocal builds and starts everything and returns when all is ready. On an error nothing is left running.
func newLocal(ctx context.Context, cfg localConfig) (*localTarget, error) {
	if _, err := os.Stat(filepath.Join(cfg.source, "infra", "packages", "install")); err != nil {
		return nil, errors.New("this is not the root of the repository, from which the services are built: run it there")
	}
	scratch, err := servers.NewScratch("petvote-chaos-*")
	if err != nil {
		return nil, err
	}
	t := &localTarget{scratch: scratch, programs: make(map[string]*program), maxMemory: "256mb", jaeger: cfg.jaeger}
	if err := t.start(ctx, cfg); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted while it was starting")
		}
		return nil, errors.Join(err, t.close(context.WithoutCancel(ctx)))
	}
	return t, nil
}

func (t *localTarget) start(ctx context.Context, cfg localConfig) error {
	if err := servers.Run(ctx, servers.Spec{Name: "install", Path: "./infra/packages/install", Args: []string{"redis", "postgresql"}, Dir: cfg.source, Output: cfg.log}); err != nil {
		return err
	}
	fmt.Fprintln(cfg.log, "building the services …")
	if err := servers.Run(ctx, servers.Spec{Name: "go build", Path: "go", Dir: cfg.source,
		Args: []string{"build", "-buildvcs=false", "-tags=grpcnotrace", "-o", t.scratch.Join("bin") + "/", "petvote/services/..."}}); err != nil {
		return err
	}
	fmt.Fprintln(cfg.log, "starting Redis, PostgreSQL and the services …")
	if err := t.startServers(ctx); err != nil {
		return err
	}
	if err := t.startServices(ctx, cfg); err != nil {
		return err
	}
	return waiting.Until(ctx, 90*time.Second, func(ctx context.Context) error {
		var left error
		for _, p := range t.programs {
			left = errors.Join(left, platform.Probe(ctx, p.url(p.ops)+"/readyz"))
		}
		return left
	})
}

func (t *localTarget) startServers(ctx context.Context) (err error) {
	if t.redis, err = servers.NewRedis(servers.RedisConfig{Dir: t.scratch.Join(redis), MaxMemory: t.maxMemory}); err != nil {
		return err
	}
	if t.postgres, err = servers.NewPostgres(servers.PostgresConfig{Dir: t.scratch.Join(postgres)}); err != nil {
		return err
	}
	if err := errors.Join(t.redis.Start(ctx), t.postgres.Start(ctx)); err != nil {
		return err
	}
	t.rdb = votestream.Config{Host: t.redis.Host(), Port: config.Port(t.redis.Port())}.Dial(1)
	t.queue = votestream.NewQueue(t.rdb)
	pool, err := pgxpool.ParseConfig(t.postgres.URL())
	if err != nil {
		return err
	}
	pool.MaxConns = 4
	if t.db, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
		return err
	}
	t.proxies, err = newProxies(map[string]string{redis: t.redis.Addr(), postgres: t.postgres.Addr()})
	return err
}

func (t *localTarget) startServices(ctx context.Context, cfg localConfig) error {
	for _, name := range services {
		p := new(program)
		for _, port := range []*int{&p.port, &p.ops} {
			var err error
			if *port, err = servers.FreePort(); err != nil {
				return err
			}
		}
		t.programs[name] = p
	}
	for _, name := range []string{worker, result, vote} {
		p := t.programs[name]
		p.spec = servers.Spec{Name: name, Path: t.scratch.Join("bin/" + name), Dir: t.scratch.Path, Env: t.environment(cfg.environ, name, p), Ready: alive(p)}
		if name == worker && cfg.naive {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			p.spec.Path, p.spec.Args = self, []string{naiveCommand}
		}
		p.Process = servers.NewProcess(p.spec)
		if err := p.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// environment leads a service to its proxies. Of the user's own, what would lead it elsewhere is left out.
func (t *localTarget) environment(user []string, name string, p *program) []string {
	env := []string{}
	for _, variable := range user {
		if !strings.HasPrefix(variable, "REDIS_") && !strings.HasPrefix(variable, "POSTGRES_") && !strings.HasPrefix(variable, "DATABASE_") {
			env = append(env, variable)
		}
	}
	redisHost, redisPort := t.proxies.address(name, redis)
	postgresHost, postgresPort := t.proxies.address(name, postgres)
	return append(env, "LISTEN_HOST="+servers.Loopback, "PORT="+strconv.Itoa(p.port), "OPS_PORT="+strconv.Itoa(p.ops), "CONSUMER_NAME="+name+"-1",
		"VOTE_URL="+t.programs[vote].url(t.programs[vote].port), "RESULT_URL="+t.programs[result].url(t.programs[result].port),
		"REDIS_HOST="+redisHost, "REDIS_PORT="+redisPort, "POSTGRES_HOST="+postgresHost, "POSTGRES_PORT="+postgresPort,
		"POSTGRES_USER=petvote", "POSTGRES_PASSWORD=petvote", "POSTGRES_DB=petvote")
}

// alive asks for liveness, not for readiness: a service is back when it answers, whatever it still has to wait for.
func alive(p *program) func(context.Context, int) error {
	return func(ctx context.Context, _ int) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url(p.ops)+"/healthz", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
}

func (t *localTarget) addresses() addresses {
	return addresses{vote: t.programs[vote].url(t.programs[vote].port), result: t.programs[result].url(t.programs[result].port), jaeger: t.jaeger}
}

func (t *localTarget) sampled() time.Duration { return timestep }

// close stops all in order. What is left of the folder goes with this process.
func (t *localTarget) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var errs []error
	if t.hog != nil {
		t.hog.release()
	}
	for _, name := range []string{vote, worker, result} {
		if p := t.programs[name]; p != nil && p.Process != nil {
			errs = append(errs, p.Stop(ctx))
		}
	}
	if t.proxies != nil {
		t.proxies.close()
	}
	if t.db != nil {
		t.db.Close()
	}
	if t.rdb != nil {
		errs = append(errs, t.rdb.Close())
	}
	if t.postgres != nil {
		errs = append(errs, t.postgres.Discard(ctx))
	}
	if t.redis != nil {
		errs = append(errs, t.redis.Discard(ctx))
	}
	return errors.Join(append(errs, os.RemoveAll(t.scratch.Path))...)
}
