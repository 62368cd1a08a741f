package platform

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"petvote/infra/servers"
)

// A platform with proxies can replace a server behind its address, as managed databases do at a failover.

// AddStandby starts a streaming standby of PostgreSQL. When it returns, every commit waits for the standby.
func (p *Platform) AddStandby(ctx context.Context) (*servers.Postgres, error) {
	cfg := servers.PostgresConfig{StandbyOf: p.Postgres}
	if p.options.Postgres != nil {
		p.options.Postgres(&cfg)
	}
	cfg.Dir, cfg.Output = p.nextDir(Postgres), p.options.Output(Postgres)
	standby, err := servers.NewPostgres(cfg)
	if err != nil {
		return nil, err
	}
	p.servers = append(p.servers, standby)
	if err := standby.Start(ctx); err != nil {
		return nil, err
	}
	return standby, p.Postgres.Synchronize(ctx)
}

// AddReplica starts a replica of Redis, and returns once it has caught up.
func (p *Platform) AddReplica(ctx context.Context) (*servers.Redis, error) {
	var cfg servers.RedisConfig
	if p.options.Redis != nil {
		p.options.Redis(&cfg)
	}
	cfg.Dir, cfg.Output = p.nextDir(Redis), p.options.Output(Redis)
	replica, err := servers.NewRedis(cfg)
	if err != nil {
		return nil, err
	}
	p.servers = append(p.servers, replica)
	if err := replica.Start(ctx); err != nil {
		return nil, err
	}
	return replica, replica.Follow(ctx, p.Redis)
}

// nextDir is the folder of one more server.
func (p *Platform) nextDir(part string) string {
	return filepath.Join(p.options.Dir, fmt.Sprintf("%s-%d", part, len(p.servers)))
}

// errNoProxies is of a platform whose services know their servers' own addresses.
var errNoProxies = errors.New("a platform without proxies can't replace a server")

// ReplacePostgres leads new connections to another server, which is the platform's PostgreSQL from then on. Those of
// the services stay where they are.
func (p *Platform) ReplacePostgres(with *servers.Postgres) error {
	if p.Proxies == nil {
		return errNoProxies
	}
	p.Postgres = with
	p.Proxies.relays[Postgres].Lead(with.Addr())
	p.DB.Reset()
	return nil
}

// ReplaceRedis is like ReplacePostgres. The old server must refuse writes.
func (p *Platform) ReplaceRedis(ctx context.Context, with *servers.Redis) error {
	if p.Proxies == nil {
		return errNoProxies
	}
	p.Redis = with
	p.Proxies.relays[Redis].Lead(with.Addr())
	if p.Queue.Ping(ctx) == nil { // the platform's own client has had to notice
		return nil
	}
	return p.Queue.Ping(ctx)
}
