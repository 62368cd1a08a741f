package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"petvote/infra/wait"
)

// PostgresConfig describes a private PostgreSQL server. The zero value of a field means what its comment says.
type PostgresConfig struct {
	Dir      string    // holds its data; made if missing; required
	Port     int       // 0: a free one, kept from then on
	Settings []string  // further settings as name=value, which override those set here
	Output   io.Writer // receives its log; nil: only Log keeps the end of it

	// Initdb makes new data by initdb. Else they are a copy of a template in this user's cache, which takes a tenth of the
	// time; the first server that finds none for its version leaves one there.
	Initdb bool

	// StandbyOf makes the server a streaming standby: its first start copies the data of the primary, which must run.
	StandbyOf *Postgres
}

// petvote is the server's database, its owner, who is a superuser as in the container image, and that user's password.
const petvote = "petvote"

// Postgres is a private PostgreSQL server that keeps the platform's promise: every transaction it committed is on disk.
type Postgres struct {
	server
	cfg PostgresConfig
}

// NewPostgres describes a server without starting it. The error is ErrNotInstalled if this machine has no PostgreSQL
// server.
func NewPostgres(cfg PostgresConfig) (*Postgres, error) {
	at, err := newPlace(cfg.Dir, cfg.Port, "postgres")
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	major, err := os.ReadFile(filepath.Join(at.Dir, "data", "PG_VERSION"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	programs, err := findPostgres(strings.TrimSpace(string(major)))
	if err != nil {
		return nil, err
	}
	p := &Postgres{server: server{place: at}, cfg: cfg}
	p.Process = NewProcess(Spec{
		Name: "postgres", Path: filepath.Join(programs, "postgres"), Args: p.args(), Dir: at.Dir,
		Credential: at.owner, Output: cfg.Output, Ready: p.ready,
		StopSignal:   syscall.SIGINT,  // "fast": ends the sessions, then shuts down
		OrphanSignal: syscall.SIGQUIT, // "immediate": takes the backends along and leaves no shared memory behind
	})
	return p, nil
}

func (p *Postgres) args() []string {
	settings := append([]string{
		"listen_addresses=" + Loopback,
		"port=" + strconv.Itoa(p.Port),
		"unix_socket_directories=",
		"fsync=on",
		"full_page_writes=on",
		"synchronous_commit=on",
		"dynamic_shared_memory_type=mmap", // in the data folder, so that nothing stays in /dev/shm after a kill
		"logging_collector=off",
	}, p.cfg.Settings...)
	args := []string{"-D", p.dataDir()}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	return args
}

// Start starts the server, the first time after making its data, and returns once its database takes queries. After a
// SIGKILL it waits for the backends of the previous server to end. Otherwise it is like Process.Start.
func (p *Postgres) Start(ctx context.Context) error {
	ctx, cancel := withLimit(ctx, startLimit)
	defer cancel()
	if err := p.initialize(ctx); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	for {
		err := p.Process.Start(ctx)
		if err == nil || !previousStillEnding(err) || wait.For(ctx, 50*time.Millisecond) != nil {
			return err
		}
	}
}

// previousStillEnding reports whether a start failed only because processes of a killed server still have the data
// open. They end by themselves as soon as they notice.
func previousStillEnding(err error) bool {
	var early *EarlyExit
	return errors.As(err, &early) && (strings.Contains(early.Output, "pre-existing shared memory block") ||
		strings.Contains(early.Output, `lock file "postmaster.pid" already exists`))
}

// ready checks that the server takes queries and is the one we started: another may have the port.
func (p *Postgres) ready(ctx context.Context, _ int) error {
	return p.session(ctx, func(conn *pgx.Conn) error {
		var dir string
		err := conn.QueryRow(ctx, "show data_directory").Scan(&dir)
		if err == nil && dir != p.dataDir() {
			err = fmt.Errorf("another server answers on port %d", p.Port)
		}
		return err
	})
}

// Synchronize returns once a standby streams, and from then on the server's commits wait for it.
func (p *Postgres) Synchronize(ctx context.Context) error {
	ctx, cancel := withLimit(ctx, startLimit)
	defer cancel()
	err := p.Execute(ctx, "alter system set synchronous_standby_names = '*'", "select pg_reload_conf()")
	if err == nil {
		err = wait.Until(ctx, startLimit, func(ctx context.Context) error {
			return p.Execute(ctx, `do $$ begin
				if not exists (select from pg_stat_replication where sync_state = 'sync') then
					raise exception 'no synchronous standby streams'; end if; end $$`)
		})
	}
	if err != nil {
		return fmt.Errorf("synchronize postgres: %w", err)
	}
	return nil
}

// Fence makes a primary read-only while its connections stay.
func (p *Postgres) Fence(ctx context.Context) error {
	err := p.Execute(ctx, "alter system set default_transaction_read_only = on", "select pg_reload_conf()")
	if err != nil {
		return fmt.Errorf("fence postgres: %w", err)
	}
	return nil
}

// Promote makes a standby a primary, and returns once it takes writes.
func (p *Postgres) Promote(ctx context.Context) error {
	ctx, cancel := withLimit(ctx, startLimit)
	defer cancel()
	err := p.Execute(ctx, `do $$ begin
		if not pg_promote() then raise exception 'the promotion takes too long'; end if; end $$`)
	if err != nil {
		return fmt.Errorf("promote postgres: %w", err)
	}
	return nil
}

// Execute runs statements on a connection of their own.
func (p *Postgres) Execute(ctx context.Context, statements ...string) error {
	return p.session(ctx, func(conn *pgx.Conn) error {
		for _, statement := range statements {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// session calls do with a connection that ends with it.
func (p *Postgres) session(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, p.URL())
	if err != nil {
		return err
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bounded) // only says goodbye
	}()
	return do(conn)
}

func (p *Postgres) dataDir() string { return filepath.Join(p.Dir, "data") }

// URL is the address of the server's database, with user and password.
func (p *Postgres) URL() string { return p.DatabaseURL(petvote) }

// DatabaseURL is the address of another database on the same server, with user and password.
func (p *Postgres) DatabaseURL(name string) string { return databaseURL(p.place, name) }

func databaseURL(at place, name string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(petvote, petvote),
		Host:     at.Addr(),
		Path:     "/" + name,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}
