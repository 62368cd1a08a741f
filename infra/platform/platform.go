// Package platform runs the whole platform as processes of this machine: Redis, PostgreSQL and the three services, with
// a proxy on every edge between them if wanted. It is the one starter for up, the tools and the tests.
//
// A platform is private and listens on the loopback interface. Its processes end with this one: see package servers.
package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"petvote/infra/ledger"
	"petvote/infra/servers"
	"petvote/infra/wait"
	"petvote/shared/votestream"
)

// The parts of the platform. With several queues there are redis2, redis3 and so on: see [Queue].
const (
	Vote     = "vote"
	Worker   = "worker"
	Result   = "result"
	Redis    = "redis"
	Postgres = "postgres"
)

// Services are the platform's own programs, in the order of their start.
var Services = []string{Worker, Result, Vote}

// Queue is the part that holds a queue, by its place in the list from 0: redis, redis2, …
func Queue(place int) string {
	if place == 0 {
		return Redis
	}
	return Redis + strconv.Itoa(place+1)
}

// Ports are those of the parts; 0 is a free port, kept for the platform's life. Further queues take the ports after
// Redis's.
type Ports struct{ Vote, Result, VoteOps, WorkerOps, ResultOps, Redis, Postgres int }

// Options describe a platform. The zero value of a field means what its comment says.
type Options struct {
	Dir   string // holds the data; made if missing; required
	Bin   string // the folder of the services' programs, as Build makes them; required
	Ports Ports
	Env   []string // of every service; overrides the platform's names and links, but not its ports and addresses

	Queues int // each a Redis of its own; 0: one

	Commands map[string][]string // by service: the command line that runs in place of its program

	Redis    func(*servers.RedisConfig)    // changes the configuration of each before the start; nil: does not
	Postgres func(*servers.PostgresConfig) // the same

	Proxies bool                        // puts a proxy on every edge from a service to a server
	Output  func(part string) io.Writer // receives a part's output; nil: only Log keeps the end
	Live    bool                        // a service has started when it is live; false: when it is ready
}

// Platform is a whole platform. Its clients look past the faults of the proxies.
type Platform struct {
	Redis                *servers.Redis   // the first queue's
	Redises              []*servers.Redis // all
	Postgres             *servers.Postgres
	Vote, Worker, Result *Service
	Proxies              *Proxies // nil without Options.Proxies

	RDB           *redis.Client        // the first queue's
	RDBs          []*votestream.Client // all
	Queue         *votestream.Queue    // the first
	ledger.Direct                      // Queues and DB

	options Options
	servers []servers.Server
}

// Part has the methods of all parts. Package servers documents each.
type Part interface {
	Name() string
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Kill() error
	Pause() error
	Resume() error
	Running() bool
	Done() <-chan struct{}
	Err() error
	PID() int
	Log() string
}

// Start starts a platform and returns when every service is ready. After an error nothing is left running.
func Start(ctx context.Context, o Options) (*Platform, error) {
	p, err := New(o)
	if err != nil {
		return nil, err
	}
	if err := p.Start(ctx); err != nil {
		return nil, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
	}
	return p, nil
}

// New describes a platform without starting a part of it; Close releases it. The error is servers.ErrNotInstalled if
// this machine lacks a server's program.
func New(o Options) (p *Platform, err error) {
	if o.Output == nil {
		o.Output = func(string) io.Writer { return nil }
	}
	p = &Platform{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Release()) // nothing runs yet
		}
	}()
	if err := errors.Join(os.MkdirAll(o.Dir, 0o711), os.Chmod(o.Dir, 0o711)); err != nil { // servers run as other users
		return p, err
	}
	for place := range max(o.Queues, 1) {
		port := o.Ports.Redis
		if port != 0 {
			port += place
		}
		server, err := p.newRedis(Queue(place), Queue(place), port)
		if err != nil {
			return p, err
		}
		p.Redises = append(p.Redises, server)
	}
	p.Redis = p.Redises[0]
	if p.Postgres, err = p.newPostgres(Postgres, o.Ports.Postgres, nil); err != nil {
		return p, err
	}
	if o.Proxies {
		upstream := map[string]string{Postgres: p.Postgres.Addr()}
		for place, server := range p.Redises {
			upstream[Queue(place)] = server.Addr()
		}
		if p.Proxies, err = newProxies(upstream); err != nil {
			return p, err
		}
	}
	if err := p.connect(); err != nil {
		return p, err
	}
	p.Vote, p.Worker, p.Result = new(Service), new(Service), new(Service)
	if err := errors.Join(p.Vote.takePorts(o.Ports.Vote, o.Ports.VoteOps), p.Worker.takePorts(0, o.Ports.WorkerOps),
		p.Result.takePorts(o.Ports.Result, o.Ports.ResultOps)); err != nil {
		return p, err
	}
	for _, name := range Services {
		p.describe(p.Service(name), name)
	}
	return p, nil
}

// newRedis describes a server in a folder of the platform's. Close discards it.
func (p *Platform) newRedis(name, dir string, port int) (*servers.Redis, error) {
	cfg := servers.RedisConfig{Name: name, Dir: filepath.Join(p.options.Dir, dir), Port: port,
		Output: p.options.Output(name)}
	if p.options.Redis != nil {
		p.options.Redis(&cfg)
	}
	server, err := servers.NewRedis(cfg)
	if err == nil {
		p.servers = append(p.servers, server)
	}
	return server, err
}

// newPostgres is like newRedis.
func (p *Platform) newPostgres(dir string, port int, standbyOf *servers.Postgres) (*servers.Postgres, error) {
	cfg := servers.PostgresConfig{Dir: filepath.Join(p.options.Dir, dir), Port: port,
		Output: p.options.Output(Postgres), StandbyOf: standbyOf}
	if p.options.Postgres != nil {
		p.options.Postgres(&cfg)
	}
	server, err := servers.NewPostgres(cfg)
	if err == nil {
		p.servers = append(p.servers, server)
	}
	return server, err
}

// connect makes the platform's own clients, which connect when they are first used.
func (p *Platform) connect() (err error) {
	var urls []string
	for place, server := range p.Redises {
		address := server.Addr()
		if p.Proxies != nil {
			address = p.Proxies.relays[Queue(place)].Addr()
		}
		// Unlike the services these clients are patient: a busy machine is no fault.
		urls = append(urls, "redis://"+address+"?dial_timeout=30s&read_timeout=30s&write_timeout=30s")
	}
	var queues votestream.Config
	if err := queues.URLs.UnmarshalText([]byte(strings.Join(urls, ","))); err != nil {
		return err
	}
	p.RDBs = queues.Dial(0)
	for _, rdb := range p.RDBs {
		p.Queues = append(p.Queues, votestream.NewQueue(rdb))
	}
	p.RDB, p.Queue = p.RDBs[0].Client, p.Queues[0]
	postgresURL := p.Postgres.URL()
	if p.Proxies != nil {
		postgresURL = strings.Replace(postgresURL, p.Postgres.Addr(), p.Proxies.relays[Postgres].Addr(), 1)
	}
	p.DB, err = pgxpool.New(context.Background(), postgresURL+"&pool_max_conns=4")
	return err
}

// Start starts the servers, then the worker, which makes the tables, then the other services.
func (p *Platform) Start(ctx context.Context) error {
	if err := each(p.servers, func(s servers.Server) error { return s.Start(ctx) }); err != nil {
		return err
	}
	if err := p.Worker.Start(ctx); err != nil {
		return err
	}
	if err := each([]*Service{p.Result, p.Vote}, func(s *Service) error { return s.Start(ctx) }); err != nil {
		return err
	}
	return p.Ready(ctx)
}

// readyLimit bounds the start of all services together.
const readyLimit = 90 * time.Second

// Ready waits until every service is ready, for 90 s at most.
func (p *Platform) Ready(ctx context.Context) error {
	return wait.Until(ctx, readyLimit, func(ctx context.Context) error {
		var waiting []error
		for _, name := range Services {
			if err := p.Service(name).Ready(ctx); err != nil {
				waiting = append(waiting, fmt.Errorf("%s is not ready: %w", name, err))
			}
		}
		return errors.Join(waiting...)
	})
}

// Parts are the names of all parts, the queues first. A stop in the reverse order stores and shows every accepted vote.
func (p *Platform) Parts() (names []string) {
	for place := range p.Redises {
		names = append(names, Queue(place))
	}
	return append(names, Postgres, Result, Worker, Vote)
}

// Part returns a part by its name.
func (p *Platform) Part(name string) (Part, error) {
	for place, server := range p.Redises {
		if name == Queue(place) {
			return server, nil
		}
	}
	switch name {
	case Postgres:
		return p.Postgres, nil
	case Vote, Worker, Result:
		return p.Service(name), nil
	}
	return nil, fmt.Errorf("the platform has no part %q", name)
}

// Service returns a service by its name.
func (p *Platform) Service(name string) *Service {
	return map[string]*Service{Vote: p.Vote, Worker: p.Worker, Result: p.Result}[name]
}

// stopLimit bounds the stop of all services, and then of all servers.
const stopLimit = 30 * time.Second

// Close stops the services side by side, then the servers, and removes the servers' data. What does not stop in time is
// killed, which is an error.
func (p *Platform) Close(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return errors.Join(
		each([]*Service{p.Vote, p.Worker, p.Result}, func(s *Service) error { return s.Stop(bounded) }),
		p.Release(),
		each(p.servers, func(s servers.Server) error { return s.Discard(bounded) }))
}

// Release closes the proxies and the clients, for a caller that stops the parts one by one.
func (p *Platform) Release() (err error) {
	if p.Proxies != nil {
		p.Proxies.close()
	}
	if p.DB != nil {
		p.DB.Close()
	}
	return errors.Join(err, each(p.RDBs, func(rdb *votestream.Client) error { return rdb.Close() }))
}

// each calls do for all at once.
func each[T any](all []T, do func(T) error) error {
	errs := make([]error, len(all))
	var doing sync.WaitGroup
	for i, one := range all {
		doing.Go(func() { errs[i] = do(one) })
	}
	doing.Wait()
	return errors.Join(errs...)
}

// Environ returns a user's environment without the variables that would lead the services to other servers.
func Environ(user []string) []string {
	return slices.DeleteFunc(slices.Clone(user), func(variable string) bool {
		return strings.HasPrefix(variable, "REDIS_") || strings.HasPrefix(variable, "POSTGRES_") ||
			strings.HasPrefix(variable, "DATABASE_")
	})
}

// environment directs a service to the servers, or to its proxies in front of them.
func (p *Platform) environment(s *Service, name string, further []string) []string {
	edge := func(server, address string) string {
		if p.Proxies != nil {
			address = p.Proxies.address(name, server)
		}
		return address
	}
	var queues []string
	for place, server := range p.Redises {
		queues = append(queues, edge(Queue(place), server.Addr()))
	}
	postgresHost, postgresPort, _ := net.SplitHostPort(edge(Postgres, p.Postgres.Addr()))
	return slices.Concat([]string{
		"LISTEN_HOST=" + servers.Loopback, "CONSUMER_NAME=" + name + "-1",
		"VOTE_URL=" + p.Vote.URL(""), "RESULT_URL=" + p.Result.URL(""),
	}, p.options.Env, []string{
		"PORT=" + strconv.Itoa(s.Port), "OPS_PORT=" + strconv.Itoa(s.Ops),
		"REDIS_HOST=" + strings.Join(queues, ","),
		"POSTGRES_HOST=" + postgresHost, "POSTGRES_PORT=" + postgresPort,
		"POSTGRES_USER=petvote", "POSTGRES_PASSWORD=petvote", "POSTGRES_DB=petvote",
	}, further)
}
