// Command worker takes votes from the stream and stores them.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"petvote/observability/telemetry"
	"petvote/shared/lifecycle"
	"petvote/shared/resilience"
	"petvote/shared/votestream"
)

const (
	name  = "worker"
	usage = `usage: worker            run the service, configured by its environment
       worker health     ask the running service whether it is ready
       worker version    print the version
       worker dead       look after what was given up: list, replay, drop`
)

func main() { os.Exit(lifecycle.Main(name, run)) }

// crash ends the process with the status of a SIGKILL, which a container's first process can't send to itself.
func crash() { os.Exit(137) }

const (
	finishTimeout = 5 * time.Second // for what is in hand when told to stop
	readBlock     = time.Second
)

func run(ctx context.Context, args, environ []string) (err error) {
	if len(args) > 0 && args[0] == "dead" {
		return deadLetters(ctx, args[1:], environ, os.Stdout)
	}
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
		fmt.Println(usage)
		return nil
	}
	if done, err := lifecycle.Subcommand(ctx, name, args, environ); done {
		return err
	}
	cfg, err := load(environ)
	if err != nil {
		return err
	}
	telemetry.Log(os.Stdout, name, string(cfg.LogFormat), cfg.LogLevel)

	var cleanups lifecycle.Cleanups
	defer func() { err = errors.Join(err, cleanups.Run()) }()

	tel, err := telemetry.Start(ctx, name)
	if err != nil {
		return err
	}
	cleanups.Add("telemetry", tel.Shutdown)
	listener, err := tel.PolicyListener()
	if err != nil {
		return err
	}
	policies := newPolicies(listener)

	store, err := cfg.Postgres.Open(ctx, int32(cfg.Lanes)+2, tel.PgxTracer())
	if err != nil {
		return err
	}
	cleanups.Add("postgres client", func(context.Context) error { store.Close(); return nil })
	rdb := cfg.Redis.Dial(int(cfg.Lanes))
	cleanups.Add("redis client", func(context.Context) error { return rdb.Close() })
	queue := votestream.NewQueue(rdb)

	storeMonitor := resilience.NewMonitor(policies.store, store.Ping)
	queueMonitor := resilience.NewMonitor(policies.queue, queue.Ping)
	cleanups.Background("postgres monitor", storeMonitor.Run)
	cleanups.Background("redis monitor", queueMonitor.Run)
	var migrated atomic.Bool
	health := lifecycle.NewHealth(func() error {
		if !migrated.Load() {
			return errors.New("the database's schema is not there yet")
		}
		return nil
	},
		lifecycle.Dependency{Health: storeMonitor.Health, Required: true},
		lifecycle.Dependency{Health: queueMonitor.Health, Required: true})
	if err := tel.ObserveBreakers(policies.all()...); err != nil {
		return err
	}
	if err := lifecycle.ServeOps(&cleanups, cfg.Service, health, tel.Metrics()); err != nil {
		return err
	}

	crasher := newCrasher(cfg.CrashAt, cfg.CrashAfter, crash)
	recorder, err := tel.Recorder(resilientRecorder{crashingRecorder{store, crasher}, policies.store}.Record)
	if err != nil {
		return err
	}
	acker, err := tel.Acker(resilientAcker{crashingAcker{queue, crasher}, policies.queue, policies.bury})
	if err != nil {
		return err
	}
	p := &processor{store: recorder, queue: acker, maxTries: int64(cfg.MaxTries)}
	step, err := tel.Processor(p.Process, cfg.QueueTraces)
	if err != nil {
		return err
	}

	if err := policies.migrate.Do(ctx, store.Migrate); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop while PostgreSQL was away
		}
		return err
	}
	migrated.Store(true)
	ensureGroup := func(ctx context.Context) error { return policies.queue.Do(ctx, queue.EnsureGroup) }
	slog.InfoContext(ctx, "taking votes", "lanes", cfg.Lanes, "consumer", cfg.ConsumerName)
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		slog.Info("draining")
		health.Drain()
		time.AfterFunc(finishTimeout, cancel)
	})()
	var lanes sync.WaitGroup
	for i := range cfg.Lanes {
		consumer := votestream.NewConsumer(rdb, votestream.ConsumerOptions{
			Name: fmt.Sprintf("%s-%d", cfg.ConsumerName, i), BatchSize: int64(cfg.BatchSize), Block: readBlock,
			ClaimIdle: time.Duration(cfg.ClaimIdle),
		})
		l := lane{source: crashingSource{consumer, crasher}, step: step, storeUp: storeMonitor.WaitUp, connect: ensureGroup}
		lanes.Go(func() { l.run(ctx, work) })
	}
	lanes.Wait()
	return nil
}
