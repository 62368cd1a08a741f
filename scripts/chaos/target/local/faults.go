package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/wait"
	"petvote/scripts/chaos/scenario"
	"petvote/scripts/chaos/target"
	"petvote/shared/votestream"
)

func (t *Target) Can(scenario.Fault) bool { return true }

func (t *Target) Leftovers() []scenario.Fault { return nil } // the platform ends with the run

// Prepare starts the server that takes over at a failover.
func (t *Target) Prepare(ctx context.Context, f scenario.Fault) (err error) {
	if f.Kind != scenario.Failover {
		return nil
	}
	if f.Part == platform.Redis {
		t.replica, err = t.AddReplica(ctx)
		return err
	}
	t.standby, err = t.AddStandby(ctx)
	return err
}

func (t *Target) Inject(ctx context.Context, f scenario.Fault) error {
	if f.OnNetwork() {
		client, server := f.Edge()
		return t.Proxies.Disturb(client, server, toxics(f)...)
	}
	switch f.Kind {
	case scenario.Memory:
		rdb := t.redis(f.Part)
		info, err := rdb.InfoMap(ctx, "memory").Result()
		if err != nil {
			return err
		}
		return rdb.ConfigSet(ctx, "maxmemory", info["Memory"]["used_memory"]).Err()
	case scenario.Connections:
		t.release = exhaust(t.Postgres.URL())
		return nil
	case scenario.Crawl:
		_, err := t.DB.Exec(ctx, target.Crawl(f.N))
		return err
	case scenario.Failover:
		if f.Part == platform.Redis {
			return t.Redis.HandOver(ctx, t.replica)
		}
		return t.Postgres.Kill()
	case scenario.Crash:
		if err := t.Worker.Stop(ctx); err != nil {
			return err
		}
		return target.CrashWorkers(ctx, t.crash, f.Arg)
	case scenario.Lose:
		return target.LoseWorker(ctx, t.crash, func(ctx context.Context) (holders []string, err error) {
			for _, rdb := range t.RDBs {
				pending, err := rdb.XPending(ctx, votestream.Stream, votestream.Group).Result()
				if err != nil {
					return nil, err
				}
				holders = slices.AppendSeq(holders, maps.Keys(pending.Consumers))
			}
			return holders, nil
		})
	}
	part, err := t.Part(f.Part)
	if err != nil {
		return err
	}
	switch f.Kind {
	case scenario.Kill:
		return part.Kill()
	case scenario.Pause:
		return part.Pause()
	case scenario.Stop:
		return part.Stop(ctx)
	case scenario.Restart:
		return errors.Join(part.Stop(ctx), part.Start(ctx))
	}
	return fmt.Errorf("no fault %q", f.Kind)
}

// redis is the client of a queue's part.
func (t *Target) redis(part string) *votestream.Client {
	return t.RDBs[slices.Index(t.Parts(), part)] // the queues come first
}

func (t *Target) Undo(ctx context.Context, f scenario.Fault) error {
	if f.OnNetwork() {
		client, server := f.Edge()
		return t.Proxies.Calm(ctx, client, server, toxics(f)...)
	}
	switch f.Kind {
	case scenario.Memory:
		return t.redis(f.Part).ConfigSet(ctx, "maxmemory", maxMemory).Err()
	case scenario.Connections:
		if t.release != nil {
			t.release()
			t.release = nil
		}
		return nil
	case scenario.Crawl:
		_, err := t.DB.Exec(ctx, target.EndCrawl)
		return err
	case scenario.Lose:
		return nil
	case scenario.Failover:
		if f.Part == platform.Redis {
			return t.ReplaceRedis(ctx, t.replica)
		}
		return errors.Join(t.standby.Promote(ctx), t.ReplacePostgres(t.standby))
	}
	part, err := t.Part(f.Part)
	switch {
	case err != nil:
		return err
	case f.Kind == scenario.Pause:
		return part.Resume()
	case part.Running():
		return nil
	}
	return part.Start(ctx)
}

// toxics turns a fault on the network into toxiproxy's terms. Latency delays only the answers, so that a round trip
// takes as much longer as the fault says.
func toxics(f scenario.Fault) (all []platform.Toxic) {
	add := func(kind string, attributes map[string]int, streams ...string) {
		for _, stream := range streams {
			name := string(f.Kind) + "-" + stream
			all = append(all, platform.Toxic{Name: name, Type: kind, Stream: stream, Attributes: attributes})
		}
	}
	const up, down = "upstream", "downstream"
	const slice = 512 // bytes
	switch f.Kind {
	case scenario.Cut:
		add("timeout", map[string]int{"timeout": 0}, up, down)
	case scenario.Slow:
		add("latency", map[string]int{"latency": f.N}, down)
	case scenario.Jitter:
		add("latency", map[string]int{"latency": f.N, "jitter": f.N}, down)
	case scenario.Reset:
		add("reset_peer", map[string]int{"timeout": f.N}, down)
	case scenario.SlowClose:
		add("slow_close", map[string]int{"delay": f.N}, up, down)
	case scenario.Bandwidth:
		microseconds := slice * 1000 / f.N // for a slice at f.N KB/s
		add("slicer", map[string]int{"average_size": slice, "delay": microseconds}, up, down)
	}
	return all
}

// crash starts a worker, under the consumer name of the real one, and waits until fault injection ends it.
func (t *Target) crash(ctx context.Context, env ...string) error {
	one, err := t.Describe(platform.Worker, env...)
	if err != nil {
		return err
	}
	var early *servers.EarlyExit
	if err := one.Start(ctx); err != nil && !errors.As(err, &early) {
		return err
	}
	select {
	case <-one.Done():
		if err := one.Err(); err == nil || err.Error() != target.CrashStatus {
			return fmt.Errorf("a worker ended without the crash: %v\n%s", err, one.Log())
		}
		return nil
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), one.Kill())
	}
}

const connectLimit, connectAgain = 2 * time.Second, 50 * time.Millisecond

// exhaust takes every connection that PostgreSQL gives, and cuts those of others, until nobody else has one. release
// returns when all are closed.
func exhaust(url string) (release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var held sync.WaitGroup
	held.Go(func() {
		var conns []*pgx.Conn
		var own []int32
		for ctx.Err() == nil {
			connecting, cancel := context.WithTimeout(ctx, connectLimit)
			conn, err := pgx.Connect(connecting, url)
			cancel()
			if err == nil {
				conns, own = append(conns, conn), append(own, int32(conn.PgConn().PID()))
				continue
			}
			if len(conns) > 0 {
				_, _ = conns[0].Exec(ctx, `select pg_terminate_backend(pid) from pg_stat_activity
					where backend_type = 'client backend' and pid <> all($1)`, own)
			}
			_ = wait.For(ctx, connectAgain)
		}
		for _, conn := range conns {
			closing, cancel := context.WithTimeout(context.Background(), time.Second)
			_ = conn.Close(closing)
			cancel()
		}
	})
	return func() {
		cancel()
		held.Wait()
	}
}
