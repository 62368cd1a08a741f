package votestore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A connection may lead to a server that is no longer the right one, and answer reads all the same. So each lives for
// this long at most, unless the URL says otherwise.
const (
	connLifetime       = time.Minute
	connLifetimeJitter = 30 * time.Second // at most, added
)

// newPool returns a pool that gives up all its connections once a reply on one of them shows that its server has lost
// its role: after a failover, connections made before it lead to the old server, and new ones to the new server.
func newPool(ctx context.Context, cfg *pgxpool.Config) (*pgxpool.Pool, error) {
	var made atomic.Pointer[pgxpool.Pool]
	keep := cfg.ConnConfig.OnPgError
	cfg.ConnConfig.OnPgError = func(c *pgconn.PgConn, err *pgconn.PgError) bool {
		connecting := c.PID() == 0 // an error then concerns one of several hosts, and no connection that exists
		if connecting || !lostRole(err) {
			return keep(c, err)
		}
		if pool := made.Load(); pool != nil {
			pool.Reset()
		}
		return false
	}
	cfg.ShouldPing = func(ctx context.Context, p pgxpool.ShouldPingParams) bool {
		return p.IdleDuration > time.Second && ctx.Value(isPing{}) == nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	made.Store(pool)
	return pool, err
}

// lostRole reports errors of a server that is read-only, shuts down, has crashed or starts (57P…), or of a lost
// connection behind a pooler (08…). See https://www.postgresql.org/docs/current/errcodes-appendix.html.
func lostRole(err *pgconn.PgError) bool {
	const readOnly = "25006"
	return err.Code == readOnly || strings.HasPrefix(err.Code, "57P") || strings.HasPrefix(err.Code, "08")
}

// errReadOnly reports a server that is a standby, or a primary that was fenced.
var errReadOnly = errors.New("the server is read-only: a standby, or a primary that was replaced")

// isPing is the context key of [Store.Ping], which tests a connection itself.
type isPing struct{}

// Ping fails if PostgreSQL does not answer or is read-only. If a connection shows that, all are given up: those to a
// server that hangs would each have to time out, and by those to a read-only one a service would go on to read a tally
// that no longer changes.
func (s *Store) Ping(ctx context.Context) error {
	conn, err := s.pool.Acquire(context.WithValue(ctx, isPing{}, true))
	if err != nil { // connecting goes on without the ping, and may succeed
		return fmt.Errorf("ping: %w", err)
	}
	defer conn.Release()
	results, err := conn.Conn().PgConn().Exec(ctx, "show transaction_read_only").ReadAll()
	if err == nil && string(results[0].Rows[0][0]) == "on" {
		err = errReadOnly
	}
	if err != nil {
		s.pool.Reset()
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}
