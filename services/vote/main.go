// Command vote serves the voting page and puts votes into the stream.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"petvote/observability/telemetry"
	"petvote/shared/config"
	"petvote/shared/lifecycle"
	"petvote/shared/resilience"
	"petvote/shared/votestream"
	"petvote/shared/web"
)

const name = "vote"

func main() { os.Exit(lifecycle.Main(name, run)) }

func run(ctx context.Context, args, environ []string, cleanups *lifecycle.Cleanups) error {
	if done, err := lifecycle.Subcommand(name, args, environ); done {
		return err
	}
	var cfg settings
	if err := config.Load(environ, &cfg); err != nil {
		return err
	}
	defer allocateBallast()()

	tel, listener, err := telemetry.StartService(ctx, name, cfg.Service, cleanups)
	if err != nil {
		return err
	}

	var (
		queues       []*queue
		inspections  []lifecycle.Check
		dependencies []lifecycle.Dependency
		policies     []*resilience.Policy
		streams      []telemetry.Stream
	)
	for _, rdb := range cfg.Redis.Dial(0) {
		// The figures have a policy of their own: a scrape that Redis refuses must not stop votes.
		policy, statsPolicy := redisPolicy(rdb.Name(), listener), redisPolicy(rdb.Name()+"-stats", listener)
		policies = append(policies, policy, statsPolicy)
		producer, stream := votestream.NewProducer(rdb, policy.Once), votestream.NewQueue(rdb)
		cleanups.Add(rdb.Name()+" client", func(context.Context) error { producer.Close(); return rdb.Close() })
		monitor := resilience.NewMonitor(policy, stream.PingWrite)
		cleanups.Background(rdb.Name()+" monitor", monitor.Run)
		queues = append(queues, &queue{producer, policy, monitor.Up})
		inspections = append(inspections, stream.Inspect)
		dependencies = append(dependencies,
			lifecycle.Dependency{Health: monitor.Health, Required: true, Group: "redis"})
		streams = append(streams, telemetry.Stream{Queue: rdb.Queue(), Server: rdb.Name(),
			Read: func(ctx context.Context) (votestream.Stats, error) {
				return resilience.Call(ctx, statsPolicy, stream.Stats)
			}})
	}
	admission := newAdmission(&balancer{queues: queues}, cfg.MaxInFlight)
	publisher, err := tel.Publisher(admission.Publish)
	if err != nil {
		return err
	}
	inspector := lifecycle.NewInspector(inspections...)
	cleanups.Background("inspector", inspector.Run)
	health := lifecycle.NewHealth(nil, dependencies...)
	health.AddFindings(inspector.Findings)
	front := web.NewFront(cfg.Public)
	err = errors.Join(
		tel.ObserveBreakers(policies...),
		tel.ObserveRefusals(front.Refused),
		tel.ObserveFindings(health.Findings),
		tel.ObserveDependencies(health.Dependencies),
		tel.ObserveAdmission(admission.stats),
		tel.ObserveStreams(streams...),
		lifecycle.ServeOps(cleanups, cfg.Service, health, tel.Metrics()))
	if err != nil {
		return err
	}

	socket, err := net.Listen("tcp", cfg.Port.On(cfg.Host))
	if err != nil {
		return fmt.Errorf("listen for voters (PORT): %w", err)
	}
	page := newPage(cfg, tel.TraceShare())
	server := lifecycle.Server{
		Listener: socket, Health: health, DrainDelay: time.Duration(cfg.ShutdownDelay),
		IdleTimeout: time.Duration(cfg.IdleTimeout), MaxConnections: int(cfg.MaxConnections),
		Handler: front.Handler(tel.HTTP(routes(page, publisher, front, tel.Pages(telemetry.SpanCastVote), health))),
	}
	return server.Run(ctx)
}

// heapBallast, in bytes, raises the trigger of the garbage collector. A vote leaves some 5 KB of garbage and the live
// heap is small, so that under load GOGC=100 would collect nearly all the time.
const heapBallast = 16 << 20

// allocateBallast allocates memory that the collector counts as live until release is called. Nobody touches it, so it
// occupies no RAM; unlike a higher GOGC it adds no more than itself when the live heap grows.
func allocateBallast() (release func()) {
	ballast := make([]byte, heapBallast)
	return func() { runtime.KeepAlive(ballast) }
}
