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
	"petvote/shared/votestore"
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
	storePolicy := newStorePolicy(listener)
	migratePolicy := newMigratePolicy(listener, votestore.IsWrongMigration)

	queues := cfg.Redis.Dial(int(cfg.Concurrency))
	db, err := cfg.Postgres.Open(ctx, int32(len(queues))*int32(cfg.Concurrency)+2, tel.PgxTracer())
	if err != nil {
		return err
	}
	cleanups.Add("postgres client", func(context.Context) error { db.Close(); return nil })

	storeMonitor := resilience.NewMonitor(storePolicy, db.Ping)
	cleanups.Background("postgres monitor", storeMonitor.Run)
	migrations := newMigrations(db.Migrate, migratePolicy)
	crasher := newCrasher(cfg.CrashAt, cfg.CrashAfter, crash)
	store := resilientStore{crashingRecorder{db, crasher}, storePolicy}
	recorder, err := tel.Recorder(store.Record)
	if err != nil {
		return err
	}
	var consumers []consumer
	policies := []*resilience.Policy{storePolicy, migratePolicy}
	dependencies := []lifecycle.Dependency{{Health: storeMonitor.Health, Required: true}}
	inspections := []lifecycle.Check{lifecycle.When(migrations.ready, db.Inspect)}
	for _, rdb := range queues {
		cleanups.Add(rdb.Name()+" client", func(context.Context) error { return rdb.Close() })
		stream, policy := votestream.NewQueue(rdb), newQueuePolicies(rdb.Name(), listener)
		monitor := resilience.NewMonitor(policy.queue, stream.Ping)
		cleanups.Background(rdb.Name()+" monitor", monitor.Run)
		policies = append(policies, policy.queue, policy.deadLetters)
		dependencies = append(dependencies, lifecycle.Dependency{Health: monitor.Health, Required: true, Group: "redis"})
		inspections = append(inspections, stream.MoveFormerKeys, stream.Inspect)

		acker, err := tel.Acker(resilientQueue{crashingAcker{stream, crasher}, policy})
		if err != nil {
			return err
		}
		processor := &processor{store: recorder, queue: acker, maxRetries: int64(cfg.MaxTries)}
		step, err := tel.Processor(processor.Process, cfg.QueueTraces == linkTraces)
		if err != nil {
			return err
		}
		for i := range int(cfg.Concurrency) {
			source := votestream.NewConsumer(rdb, votestream.ConsumerOptions{
				Name: fmt.Sprintf("%s-%d", cfg.ConsumerName, i), Block: time.Second, ClaimIdle: time.Duration(cfg.ClaimIdle),
			})
			consumers = append(consumers, consumer{queue: rdb.Name(), source: crashingSource{source, crasher},
				process: step, storeUp: storeMonitor.WaitUp, size: newBatchSize(int(cfg.BatchSize)),
				connect: func(ctx context.Context) error { return policy.queue.Do(ctx, stream.EnsureGroup) }})
		}
	}
	health := lifecycle.NewHealth(migrations.ready, dependencies...)
	inspector := lifecycle.NewInspector(inspections...)
	cleanups.Background("inspector", inspector.Run)
	health.AddFindings(inspector.Findings)
	err = errors.Join(
		tel.ObserveBreakers(policies...),
		tel.ObserveFindings(health.Findings),
		tel.ObserveDependencies(health.Dependencies),
		lifecycle.ServeOps(cleanups, cfg.Service, health, tel.Metrics()))
	if err != nil {
		return err
	}

	if err := migrations.run(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped while PostgreSQL was unavailable
		}
		return err
	}
	slog.InfoContext(ctx, "consuming votes", "queues", len(queues), "concurrency", cfg.Concurrency,
		"consumer", cfg.ConsumerName)
	consume(ctx, consumers, func() { slog.Info("draining"); health.Drain() })
	return nil
}
