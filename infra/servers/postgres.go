package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresConfig describes a private PostgreSQL server. The zero value of a field means what its comment says.
type PostgresConfig struct {
	Dir            string    // holds its data; made if missing; required
	Port           int       // 0: a free one, kept from then on
	User           string    // owner of the database, and superuser as in the container image; "": petvote
	Password       string    // "": petvote
	Database       string    // "": petvote
	MaxConnections int       // 0: 100
	Settings       []string  // further settings as name=value, which override those set here
	Output         io.Writer // receives its log; nil: only Log keeps the end of it

	// Template is a folder for fresh data, by version and names: a new server copies them, which takes a tenth of the
	// time of initdb. The first server that finds none leaves its own there. "": initdb for every new server.
	Template string
}

// Postgres is a private PostgreSQL server that keeps the platform's promise: what it has committed is on disk.
type Postgres struct {
	*Process
	cfg     PostgresConfig
	account *account
	bin     string // the folder of its programs
}

// NewPostgres describes a server without starting it. The error is ErrNotInstalled if this machine has no PostgreSQL server.
func NewPostgres(cfg PostgresConfig) (*Postgres, error) {
	var err error
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	major, err := os.ReadFile(filepath.Join(cfg.Dir, "data", "PG_VERSION"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	bin, err := findPostgres(strings.TrimSpace(string(major)))
	if err != nil {
		return nil, err
	}
	account, err := unprivileged("postgres")
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if cfg.Port == 0 {
		if cfg.Port, err = FreePort(); err != nil {
			return nil, fmt.Errorf("postgres: %w", err)
		}
	}
	for _, text := range []*string{&cfg.User, &cfg.Password, &cfg.Database} {
		if *text == "" {
			*text = "petvote"
		}
	}
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = 100
	}
	p := &Postgres{cfg: cfg, account: account, bin: bin}
	p.Process = NewProcess(Spec{
		Name:         "postgres",
		Path:         filepath.Join(bin, "postgres"),
		Args:         p.args(),
		Dir:          cfg.Dir,
		Credential:   account.credential(),
		Output:       cfg.Output,
		StopSignal:   syscall.SIGINT,  // "fast": ends the sessions, then shuts down
		OrphanSignal: syscall.SIGQUIT, // "immediate": takes the backends along and leaves no shared memory behind
		Ready:        p.ready,
	})
	return p, nil
}

func (p *Postgres) args() []string {
	settings := append([]string{
		"listen_addresses=" + Loopback,
		"port=" + strconv.Itoa(p.cfg.Port),
		"unix_socket_directories=",
		"max_connections=" + strconv.Itoa(p.cfg.MaxConnections),
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

// Start starts the server, after making its data folder at the first time, and returns once its database takes queries.
// After a SIGKILL it waits for the backends of the previous server to end. Otherwise it is like Process.Start.
func (p *Postgres) Start(ctx context.Context) error {
	ctx, cancel := withLimit(ctx, startLimit)
	defer cancel()
	fresh, err := p.initialize(ctx)
	if err == nil {
		err = p.launchAgain(ctx)
	}
	if err == nil {
		err = p.createDatabase(ctx)
	}
	if err == nil && fresh && p.cfg.Template != "" {
		err = errors.Join(p.Stop(ctx), p.saveTemplate(), p.launchAgain(ctx))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("start postgres: %w", err), p.Kill())
	}
	return nil
}

// launchAgain starts the server's process, again and again while processes of a killed server have the data open.
func (p *Postgres) launchAgain(ctx context.Context) error {
	for {
		err := p.Process.Start(ctx)
		if err == nil || !previousStillEnding(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ready asks the server whether it takes queries and is the one we started (another may have the port).
func (p *Postgres) ready(ctx context.Context, _ int) error {
	conn, err := pgx.Connect(ctx, p.DatabaseURL("postgres"))
	if err != nil {
		return err
	}
	defer closeConn(conn)
	var dir string
	if err := conn.QueryRow(ctx, "select current_setting('data_directory')").Scan(&dir); err != nil {
		return err
	}
	if dir != p.dataDir() {
		return fmt.Errorf("another server answers on port %d", p.cfg.Port)
	}
	return nil
}

func (p *Postgres) createDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.DatabaseURL("postgres"))
	if err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	defer closeConn(conn)
	var exists bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", p.cfg.Database).Scan(&exists); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, "create database "+pgx.Identifier{p.cfg.Database}.Sanitize()); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	return nil
}

// closeConn says goodbye to the server, within a bound of its own. There is nothing to do about a goodbye that fails.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

func (p *Postgres) dataDir() string { return filepath.Join(p.cfg.Dir, "data") }

// Host is the loopback address.
func (p *Postgres) Host() string { return Loopback }

// Port is the same for all starts.
func (p *Postgres) Port() int { return p.cfg.Port }

// Addr is host:port.
func (p *Postgres) Addr() string { return net.JoinHostPort(Loopback, strconv.Itoa(p.cfg.Port)) }

// Dir is where the data is.
func (p *Postgres) Dir() string { return p.cfg.Dir }

// URL is the address of the server's database, with user and password.
func (p *Postgres) URL() string { return p.DatabaseURL(p.cfg.Database) }

// DatabaseURL is the address of another database on the same server, with user and password.
func (p *Postgres) DatabaseURL(name string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(p.cfg.User, p.cfg.Password),
		Host:     p.Addr(),
		Path:     "/" + name,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}
