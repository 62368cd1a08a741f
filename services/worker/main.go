// Command worker stores the votes of the stream.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"petvote/observability/telemetry"
	"petvote/shared/lifecycle"
	"petvote/shared/resilience"
	"petvote/shared/votestream"
)

const name = "worker"

func main() { os.Exit(lifecycle.Main(name, run)) }

func run(ctx context.Context, args, environ []string, cleanups *lifecycle.Cleanups) error {
	if done, err := subcommand(ctx, args, environ); done {
		return err
	}
	cfg, err := load(environ)
	if err != nil {
		return err
	}

	tel, listener, err := telemetry.StartService(ctx, name, cfg.Service, cleanups)
	if err != nil {
		return err
	}
	policies := newPolicies(listener)

	db, err := cfg.Postgres.Open(ctx, int32(cfg.Concurrency)+2, tel.PgxTracer())
	if err != nil {
		return err
	}
	cleanups.Add("postgres client", func(context.Context) error { db.Close(); return nil })
	rdb := cfg.Redis.Dial(int(cfg.Concurrency))
	cleanups.Add("redis client", func(context.Context) error { return rdb.Close() })
	stream := votestream.NewQueue(rdb)

	storeMonitor := resilience.NewMonitor(policies.store, db.Ping)
	queueMonitor := resilience.NewMonitor(policies.queue, stream.Ping)
	cleanups.Background("postgres monitor", storeMonitor.Run)
	cleanups.Background("redis monitor", queueMonitor.Run)
	migrations := newMigrations(db.Migrate, policies.migrate)
	health := lifecycle.NewHealth(migrations.ready,
		lifecycle.Dependency{Health: storeMonitor.Health, Required: true},
		lifecycle.Dependency{Health: queueMonitor.Health, Required: true})
	inspector := lifecycle.NewInspector(stream.MoveFormerKeys, stream.Inspect,
		lifecycle.When(migrations.ready, db.Inspect))
	cleanups.Background("inspector", inspector.Run)
	health.AddFindings(inspector.Findings)
	err = errors.Join(
		tel.ObserveBreakers(policies.all()...),
		tel.ObserveFindings(health.Findings),
		lifecycle.ServeOps(cleanups, cfg.Service, health, tel.Metrics()))
	if err != nil {
		return err
	}

	crasher := newCrasher(cfg.CrashAt, cfg.CrashAfter, crash)
	store := resilientStore{crashingRecorder{db, crasher}, policies}
	queue := resilientQueue{crashingAcker{stream, crasher}, policies}
	recorder, err := tel.Recorder(store.Record)
	if err != nil {
		return err
	}
	acker, err := tel.Acker(queue)
	if err != nil {
		return err
	}
	processor := &processor{store: recorder, queue: acker, maxRetries: int64(cfg.MaxTries)}
	step, err := tel.Processor(processor.Process, cfg.QueueTraces == linkTraces)
	if err != nil {
		return err
	}

	if err := migrations.run(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped while PostgreSQL was unavailable
		}
		return err
	}
	slog.InfoContext(ctx, "consuming votes", "concurrency", cfg.Concurrency, "consumer", cfg.ConsumerName)
	connect := func(ctx context.Context) error { return policies.queue.Do(ctx, stream.EnsureGroup) }
	consumers := make([]consumer, cfg.Concurrency)
	for i := range consumers {
		source := votestream.NewConsumer(rdb, votestream.ConsumerOptions{
			Name: fmt.Sprintf("%s-%d", cfg.ConsumerName, i), Block: time.Second, ClaimIdle: time.Duration(cfg.ClaimIdle),
		})
		consumers[i] = consumer{source: crashingSource{source, crasher}, process: step, storeUp: storeMonitor.WaitUp,
			connect: connect, size: newBatchSize(int(cfg.BatchSize))}
	}
	consume(ctx, consumers, func() { slog.Info("draining"); health.Drain() })
	return nil
}
