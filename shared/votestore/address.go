package votestore

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"petvote/shared/config"
)

// Config is the address of PostgreSQL.
type Config struct {
	Host      config.Host  `env:"POSTGRES_HOST" envDefault:"localhost"`
	Port      config.Count `env:"POSTGRES_PORT" envDefault:"5432"`
	User      string       `env:"POSTGRES_USER" envDefault:"petvote"`
	Password  string       `env:"POSTGRES_PASSWORD"`
	Database  string       `env:"POSTGRES_DB" envDefault:"petvote"`
	URL       DatabaseURL  `env:"DATABASE_URL"`                        // replaces the others
	ListenURL DatabaseURL  `env:"DATABASE_LISTEN_URL"`                 // for notices; default: the same
	Schema    Schema       `env:"POSTGRES_SCHEMA" envDefault:"public"` // holds all tables
	Roles     Roles
}

// DatabaseURL is an address of the form postgres://user:password@host:port/database?parameter=value.
type DatabaseURL string

// UnmarshalText does not repeat a malformed address in its error: it may hold a password.
func (u *DatabaseURL) UnmarshalText(text []byte) error {
	*u = DatabaseURL(text)
	if _, err := pgxpool.ParseConfig(string(text)); err != nil {
		return errors.New(cmp.Or(u.badParameter(),
			"not of the form postgres://user:password@host:port/database, with a port from 1 to 65535"))
	}
	_, err := u.parse(2)
	return err
}

// badParameter names the parameter without which the address would be a good one; "" if there is none.
func (u DatabaseURL) badParameter() string {
	parsed, err := url.Parse(string(u))
	if err != nil {
		return ""
	}
	for name := range parsed.Query() {
		without, query := *parsed, parsed.Query()
		query.Del(name)
		without.RawQuery = query.Encode()
		if _, err := pgxpool.ParseConfig(without.String()); err == nil {
			return "bad value of the parameter " + name
		}
	}
	return ""
}

// sets reports whether the address has a parameter.
func (u DatabaseURL) sets(parameter string) bool { return strings.Contains(string(u), parameter+"=") }

// Schema is the name of the schema that holds all tables. Statements name it, so that no search_path leads them
// elsewhere.
type Schema string

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// UnmarshalText accepts names that need no quotes.
func (s *Schema) UnmarshalText(text []byte) error {
	if !schemaName.Match(text) {
		return errors.New("not a name of small letters, digits and underscores")
	}
	*s = Schema(text)
	return nil
}

// in puts the schema's name where a statement has SCHEMA.
func (s Schema) in(statement string) string {
	return strings.ReplaceAll(statement, "SCHEMA", string(s))
}

func (c Config) address() DatabaseURL {
	if c.URL != "" {
		return c.URL
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(c.User, c.Password),
		Host: config.Port(c.Port).On(string(c.Host)), Path: c.Database,
	}
	return DatabaseURL(u.String())
}

// connectTimeout is below the policies' time-outs, so that an address that drops packets gives its own error.
const connectTimeout = time.Second

// parse returns an address's configuration with this package's defaults for the parameters that it does not set.
func (u DatabaseURL) parse(maxConns int32) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(string(u))
	if err != nil {
		return nil, err
	}
	if cfg.ConnConfig.ConnectTimeout == 0 && !u.sets("connect_timeout") {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	if !u.sets("default_query_exec_mode") {
		// Without named statements, which are lost behind a pooler that keeps no session, and which make PostgreSQL plan
		// for no batch in particular: a batch of 2,000 takes a quarter longer.
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	if !u.sets("pool_max_conns") {
		cfg.MaxConns = maxConns
	}
	if !u.sets("pool_max_conn_lifetime") && !u.sets("pool_max_conn_lifetime_jitter") {
		cfg.MaxConnLifetime, cfg.MaxConnLifetimeJitter = connLifetime, connLifetimeJitter
	}
	if cfg.MaxConns < 2 {
		return nil, fmt.Errorf("pool_max_conns must be at least 2: migrations need one connection beside their lock's")
	}
	return cfg, nil
}
