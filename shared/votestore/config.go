// Package votestore keeps votes in PostgreSQL: each vote once, with the tally and the history by minute in step, and a
// notice to whoever shows them. Opening a store connects to nothing; calls do.
package votestore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"petvote/shared/config"
)

// Config says where PostgreSQL is.
type Config struct {
	Host     string      `env:"POSTGRES_HOST" envDefault:"localhost"`
	Port     config.Port `env:"POSTGRES_PORT" envDefault:"5432"`
	User     string      `env:"POSTGRES_USER" envDefault:"petvote"`
	Password string      `env:"POSTGRES_PASSWORD"`
	Database string      `env:"POSTGRES_DB" envDefault:"petvote"`
	URL      DatabaseURL `env:"DATABASE_URL"` // takes the place of the others
}

// DatabaseURL is an address of the form postgres://user:password@host:port/database.
type DatabaseURL string

// UnmarshalText refuses what is no PostgreSQL address, without repeating it: it may hold a password.
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

// connectTimeout is below the policies' time-outs, so that an address that swallows packets is noticed as such.
const connectTimeout = time.Second

// Store is safe for concurrent use.
type Store struct{ pool *pgxpool.Pool }

// Open returns a store with at most maxConns connections. tracer, which may be nil, hears of every statement.
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

// Close waits for calls in progress and closes all connections.
func (s *Store) Close() { s.pool.Close() }

// Ping asks whether PostgreSQL answers.
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// IsPermanent reports errors with which PostgreSQL would answer again: bad data, or a vote that is not stored.
func IsPermanent(err error) bool { return IsDataError(err) || errors.Is(err, ErrNoVote) }

// IsDataError says whether PostgreSQL refused a statement for the values in it: error classes 21 (cardinality), 22
// (data) and 23 (integrity) of https://www.postgresql.org/docs/current/errcodes-appendix.html.
func IsDataError(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || len(pg.Code) != 5 {
		return false
	}
	switch pg.Code[:2] {
	case "21", "22", "23":
		return true
	}
	return false
}
