// Package votestore keeps votes in PostgreSQL: each vote once, with the tally and the history by minute in step, and a
// notice of each change.
package votestore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"petvote/shared/config"
)

// Config is the address of PostgreSQL.
type Config struct {
	Host     string      `env:"POSTGRES_HOST" envDefault:"localhost"`
	Port     config.Port `env:"POSTGRES_PORT" envDefault:"5432"`
	User     string      `env:"POSTGRES_USER" envDefault:"petvote"`
	Password string      `env:"POSTGRES_PASSWORD"`
	Database string      `env:"POSTGRES_DB" envDefault:"petvote"`
	URL      DatabaseURL `env:"DATABASE_URL"` // replaces the others
}

// DatabaseURL is an address of the form postgres://user:password@host:port/database.
type DatabaseURL string

// UnmarshalText does not repeat a malformed address in its error: it may hold a password.
func (u *DatabaseURL) UnmarshalText(text []byte) error {
	if _, err := pgxpool.ParseConfig(string(text)); err != nil {
		return errors.New("not of the form postgres://user:password@host:port/database")
	}
	*u = DatabaseURL(text)
	return nil
}

func (c Config) address() string {
	if c.URL != "" {
		return string(c.URL)
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(c.User, c.Password),
		Host: net.JoinHostPort(c.Host, c.Port.String()), Path: c.Database,
	}
	return u.String()
}

// connectTimeout is below the policies' time-outs, so that an address that drops packets gives its own error.
const connectTimeout = time.Second

// Store is safe for concurrent use.
type Store struct{ pool *pgxpool.Pool }

// Open returns a store with at most maxConns connections, made on first use. tracer, which may be nil, traces every
// statement.
func (c Config) Open(ctx context.Context, maxConns int32, tracer pgx.QueryTracer) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(c.address())
	if err != nil {
		return nil, fmt.Errorf("open vote store: %w", err)
	}
	cfg.MaxConns = maxConns
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	cfg.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open vote store: %w", err)
	}
	return &Store{pool: pool}, nil
}

// Close waits for calls in progress, then closes all connections.
func (s *Store) Close() { s.pool.Close() }

// Ping fails if PostgreSQL does not answer.
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// IsPermanent reports errors with which PostgreSQL would answer again: bad data, or a vote that is not stored.
func IsPermanent(err error) bool { return IsDataError(err) || errors.Is(err, ErrNoVote) }

// IsDataError reports that PostgreSQL refused a statement for its values: error classes 21 (cardinality), 22 (data) and
// 23 (integrity) of https://www.postgresql.org/docs/current/errcodes-appendix.html.
func IsDataError(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && len(pg.Code) == 5 && slices.Contains([]string{"21", "22", "23"}, pg.Code[:2])
}
