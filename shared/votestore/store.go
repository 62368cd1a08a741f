// Package votestore keeps votes in PostgreSQL, each once, with tally and history in step and a notice of each change.
package votestore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

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

// Store is safe for concurrent use.
type Store struct{ pool *pgxpool.Pool }

// Open returns a store with at most maxConns connections, made on first use. tracer, of statements, may be nil.
func (c Config) Open(ctx context.Context, maxConns int32, tracer pgx.QueryTracer) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(c.address())
	if err != nil {
		return nil, fmt.Errorf("open vote store: %w", err)
	}
	cfg.MaxConns = maxConns
	cfg.ConnConfig.ConnectTimeout = time.Second // below the policies': an address that drops packets gives its own error
	cfg.ConnConfig.Tracer = tracer
	pool, err := newPool(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open vote store: %w", err)
	}
	return &Store{pool: pool}, nil
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate upgrades the schema to this program's version. Only one process migrates at a time; the others wait for the
// lock and find nothing to do. A schema newer than the program is left alone.
func (s *Store) Migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	const everySecond, attempts = 1, 30
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(everySecond, attempts))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	db := stdlib.OpenDBFromPool(s.pool)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// Close waits for calls in progress, then closes all connections.
func (s *Store) Close() { s.pool.Close() }

// IsPermanent reports errors with which PostgreSQL would answer again: bad data, or a vote that is not stored.
func IsPermanent(err error) bool { return IsDataError(err) || errors.Is(err, ErrNoVote) }

// IsDataError reports that PostgreSQL refused a statement for its values: error classes 21 (cardinality), 22 (data) and
// 23 (integrity) of https://www.postgresql.org/docs/current/errcodes-appendix.html.
func IsDataError(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && len(pg.Code) == 5 && slices.Contains([]string{"21", "22", "23"}, pg.Code[:2])
}
