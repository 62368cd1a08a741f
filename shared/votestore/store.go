// Package votestore keeps votes in PostgreSQL, each once, with tally and history in step and a notice of each change.
package votestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Store is safe for concurrent use.
type Store struct {
	pool   *pgxpool.Pool
	listen *pgx.ConnConfig // of subscriptions
	schema Schema
	roles  Roles
	tracer pgx.QueryTracer // nil: none

	copySlot  chan struct{} // holds a value while a batch has the slot
	copyPause atomic.Int64  // batches to go without COPY
}

// Open returns a store with at most maxConns connections, made on first use. tracer, of statements, may be nil.
// Parameters of the address take precedence, over maxConns too (pool_max_conns).
func (c Config) Open(ctx context.Context, maxConns int32, tracer pgx.QueryTracer) (*Store, error) {
	cfg, err := c.address().parse(maxConns)
	if err != nil {
		return nil, fmt.Errorf("open vote store: %w", err)
	}
	cfg.ConnConfig.Tracer = tracer
	listen, err := cmp.Or(c.ListenURL, c.address()).parse(maxConns)
	if err != nil {
		return nil, fmt.Errorf("open vote store (DATABASE_LISTEN_URL): %w", err)
	}
	listen.ConnConfig.Tracer = tracer
	pool, err := newPool(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open vote store: %w", err)
	}
	schema, roles := cmp.Or(c.Schema, "public"), c.Roles
	if user := cfg.ConnConfig.User; user == roles.Worker || user == roles.Result {
		roles = Roles{} // these are the owner's business
	}
	return &Store{pool: pool, listen: listen.ConnConfig, schema: schema, roles: roles, tracer: tracer,
		copySlot: make(chan struct{}, 1)}, nil
}

// Close waits for calls in progress, then closes all connections.
func (s *Store) Close() { s.pool.Close() }

// IsPermanent reports errors with which PostgreSQL would answer again: bad data, or a vote that is not stored.
func IsPermanent(err error) bool { return IsDataError(err) || errors.Is(err, ErrNoVote) }

// IsTimeout reports that a statement took longer than its context allows, or the server's own limits, which are
// statement_timeout, lock_timeout and transaction_timeout. A connection that can't be made in time is none.
func IsTimeout(err error) bool {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return false
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && slices.Contains([]string{"57014", "55P03", "25P04"}, pg.Code)
}

// IsOfSomeEntries reports an error that some entries of a batch may have caused, so that the others can be stored
// alone: a time-out, as of one whose row is locked, or a refusal by a trigger, a row policy, a limit or damaged data
// (classes 38, 39, 44, 54, P0 and XX, code 42501).
func IsOfSomeEntries(err error) bool {
	return IsTimeout(err) || inClass(err, "38", "39", "44", "54", "P0", "XX") || IsMissingRight(err)
}

// IsDataError reports that PostgreSQL refused a statement for its values: error classes 21 (cardinality), 22 (data) and
// 23 (integrity) of https://www.postgresql.org/docs/current/errcodes-appendix.html.
func IsDataError(err error) bool { return inClass(err, "21", "22", "23") }

// IsWrongMigration reports that a migration can't succeed on this database, however often it is repeated: among the
// classes are 0A (not supported), 22, 23 (the data does not allow it), 42 (wrong statement, object missing or there
// already) and P0 (raised by a function). So are tables in its way.
func IsWrongMigration(err error) bool {
	if _, inTheWay := errors.AsType[*schemaError](err); inTheWay {
		return true
	}
	return inClass(err, "0A", "0L", "0P", "21", "22", "23", "2B", "2F", "38", "39", "3F", "42", "44", "54", "P0") &&
		!IsMissingRight(err)
}

// IsMissingRight reports that the role lacks a right that a statement needs.
func IsMissingRight(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "42501"
}

// IsRefused reports that PostgreSQL does not let the role in, or has no such database.
func IsRefused(err error) bool { return inClass(err, "28", "3D") }

func inClass(err error, classes ...string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && len(pg.Code) == 5 && slices.Contains(classes, pg.Code[:2])
}
