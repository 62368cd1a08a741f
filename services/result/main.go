// Command result serves the tally, live, to pages and programs.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"petvote/observability/telemetry"
	"petvote/shared/config"
	"petvote/shared/lifecycle"
	"petvote/shared/resilience"
	"petvote/shared/votestream"
	"petvote/shared/web"
)

const name = "result"

func main() { os.Exit(lifecycle.Main(name, run)) }

const maxConns = 8 // to PostgreSQL: one to read the tally, the others for receipts and history

func run(ctx context.Context, args, environ []string, cleanups *lifecycle.Cleanups) error {
	if done, err := lifecycle.Subcommand(name, args, environ); done {
		return err
	}
	var cfg settings
	if err := config.Load(environ, &cfg); err != nil {
		return err
	}

	tel, listener, err := telemetry.StartService(ctx, name, cfg.Service, cleanups)
	if err != nil {
		return err
	}
	subscribing := subscribePolicy(listener)

	db, err := cfg.Postgres.Open(ctx, maxConns, tel.PgxTracer())
	if err != nil {
		return err
	}
	cleanups.Add("postgres client", func(context.Context) error { db.Close(); return nil })
	guarded := newResilientStore(db, listener)
	monitor := resilience.NewMonitor(guarded.tally, db.Ping)
	cleanups.Background("postgres monitor", monitor.Run)

	// Neither monitored nor part of readiness: without Redis only the receipts of votes not stored yet are missing.
	var queues resilientQueues
	for _, rdb := range cfg.Redis.Dial(0) {
		cleanups.Add(rdb.Name()+" client", func(context.Context) error { return rdb.Close() })
		queues = append(queues, resilientQueue{votestream.NewQueue(rdb), queuePolicy(rdb.Name(), listener)})
	}

	hub := newHub(cfg.maxViewers())
	cache := &tallyCache{store: guarded, hub: hub}
	sampled := newSampledViewers(cache)
	refresher, err := tel.Refresher(sampled.Refresh)
	if err != nil {
		return err
	}
	watcher := newTallyWatcher(refresher, hub.size, subscribing, db.Subscribe)
	cleanups.Background("tally watcher", watcher.push)
	cleanups.Background("tally notices", watcher.listen)
	inspector := lifecycle.NewInspector(lifecycle.When(cache.ready, db.Inspect))
	cleanups.Background("inspector", inspector.Run)
	health := lifecycle.NewHealth(cache.ready, lifecycle.Dependency{Health: monitor.Health})
	health.AddFindings(inspector.Findings, watcher.findings)
	front := web.NewFront(cfg.Public)
	policies := slices.Concat(guarded.policies(), queues.policies(), []*resilience.Policy{subscribing})
	err = errors.Join(tel.ObserveBreakers(policies...),
		tel.ObserveRefusals(front.Refused),
		tel.ObserveAudience(hub.audience),
		tel.ObserveTally(cache.age),
		tel.ObserveStore(guarded.Stats),
		tel.ObserveFindings(health.Findings),
		tel.ObserveDependencies(health.Dependencies),
		lifecycle.ServeOps(cleanups, cfg.Service, health, tel.Metrics()))
	if err != nil {
		return err
	}

	pages := newResultPages(cfg, tel.TraceShare(), cache.current)
	api := &api{cache: cache, history: &history{store: guarded}, pages: pages, limit: front.Limit, store: guarded,
		queue: queues}
	socket, err := net.Listen("tcp", cfg.Port.On(cfg.Host))
	if err != nil {
		return fmt.Errorf("listen for viewers (PORT): %w", err)
	}
	streams, endStreams := context.WithCancel(context.Background())
	defer endStreams()
	events, sockets := &sseHandler{hub: hub, sampled: sampled, stopping: streams}, newSocketServer(hub, cfg)
	cleanups.Add("event streams", func(context.Context) error { events.streams.Wait(); return nil })
	cleanups.Add("socket.io", sockets.Close)
	server := lifecycle.Server{
		Listener: socket, Health: health, DrainDelay: time.Duration(cfg.ShutdownDelay),
		IdleTimeout: time.Duration(cfg.IdleTimeout), MaxConnections: int(cfg.MaxConnections),
		OnDrain: func() { endStreams(); sockets.Stop() },
		Handler: routes(tel, pages, api, front, events, sockets, health),
	}
	return server.Run(ctx)
}
