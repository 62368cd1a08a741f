package platform

import (
	"context"
	"fmt"

	"petvote/infra/servers"
)

// A platform with proxies can replace a server behind its address, as managed databases do at a failover.

// AddStandby starts a streaming standby of PostgreSQL. When it returns, every commit waits for the standby.
func (p *Platform) AddStandby(ctx context.Context) (*servers.Postgres, error) {
	standby, err := p.newPostgres(p.nextDir(Postgres), 0, p.Postgres)
	if err == nil {
		err = standby.Start(ctx)
	}
	if err != nil {
		return nil, err
	}
	return standby, p.Postgres.Synchronize(ctx)
}

// AddReplica starts a replica of the first Redis, and returns once it has caught up.
func (p *Platform) AddReplica(ctx context.Context) (*servers.Redis, error) {
	replica, err := p.newRedis(Redis, p.nextDir(Redis), 0)
	if err == nil {
		err = replica.Start(ctx)
	}
	if err != nil {
		return nil, err
	}
	return replica, replica.Follow(ctx, p.Redis)
}

// nextDir is the folder of one more server.
func (p *Platform) nextDir(part string) string { return fmt.Sprintf("%s-%d", part, len(p.servers)) }

// ReplacePostgres leads new connections to another server, which is the platform's PostgreSQL from then on. Those of
// the services stay where they are.
func (p *Platform) ReplacePostgres(with *servers.Postgres) error {
	if err := p.Proxies.lead(Postgres, with.Addr()); err != nil {
		return err
	}
	p.Postgres = with
	p.DB.Reset()
	return nil
}

// ReplaceRedis is like ReplacePostgres, for the first queue. The old server must refuse writes.
func (p *Platform) ReplaceRedis(ctx context.Context, with *servers.Redis) error {
	if err := p.Proxies.lead(Redis, with.Addr()); err != nil {
		return err
	}
	p.Redis, p.Redises[0] = with, with
	if p.Queue.Ping(ctx) == nil { // the platform's own client has had to notice
		return nil
	}
	return p.Queue.Ping(ctx)
}
