package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// PgBouncerConfig describes a private PgBouncer. The zero value of a field means what its comment says.
type PgBouncerConfig struct {
	Dir      string            // holds its configuration; made if missing; required
	Port     int               // 0: a free one, kept from then on
	Server   string            // the PostgreSQL behind it, as host:port; required
	Users    map[string]string // passwords by name, besides the server's own user
	Settings []string          // further settings as name=value, which override those set here
	Output   io.Writer         // receives its log; nil: only Log keeps the end of it
}

// PgBouncer is a private connection pooler in transaction mode: a server's connection belongs to a client for no longer
// than a transaction.
type PgBouncer struct {
	server
	cfg PgBouncerConfig
}

// NewPgBouncer describes a pooler without starting it. The error is ErrNotInstalled if this machine has none.
func NewPgBouncer(cfg PgBouncerConfig) (*PgBouncer, error) {
	path := findProgram("pgbouncer", "/usr/sbin/pgbouncer") // Debian puts it where only root's PATH leads
	if path == "" {
		return nil, notInstalled("pgbouncer", "pgbouncer", "pgbouncer", "pgbouncer")
	}
	at, err := newPlace(cfg.Dir, cfg.Port, "postgres")
	if err != nil {
		return nil, fmt.Errorf("pgbouncer: %w", err)
	}
	b := &PgBouncer{server: server{place: at}, cfg: cfg}
	b.Process = NewProcess(Spec{
		Name: "pgbouncer", Path: path, Args: []string{filepath.Join(at.Dir, "pgbouncer.ini")}, Dir: at.Dir,
		Credential: at.owner, Output: cfg.Output, Ready: b.ready,
	})
	return b, nil
}

// Start writes the configuration and starts the pooler, like Process.Start. The server behind it need not run yet.
func (b *PgBouncer) Start(ctx context.Context) error {
	return b.startWith(ctx, map[string]string{
		"pgbouncer.ini": strings.Join(b.settings(), "\n") + "\n", "users.txt": strings.Join(b.users(), "\n") + "\n",
	})
}

func (b *PgBouncer) settings() []string {
	host, port, _ := net.SplitHostPort(b.cfg.Server) // if it is none, the pooler says so
	return slices.Concat([]string{
		"[databases]",
		fmt.Sprintf("* = host=%s port=%s", host, port),
		"[pgbouncer]",
		"listen_addr=" + Loopback,
		fmt.Sprintf("listen_port=%d", b.Port),
		"unix_socket_dir=",
		"auth_type=scram-sha-256",
		"auth_file=" + filepath.Join(b.Dir, "users.txt"),
		"admin_users=" + petvote,
		"pool_mode=transaction",
	}, b.cfg.Settings)
}

// users lists the passwords in the clear, since the pooler itself logs in with them.
func (b *PgBouncer) users() (lines []string) {
	all := map[string]string{petvote: petvote}
	maps.Copy(all, b.cfg.Users)
	for name, password := range all {
		lines = append(lines, fmt.Sprintf("%q %q", name, password))
	}
	return lines
}

// ready asks the pooler's own console, which speaks the simple protocol only.
func (b *PgBouncer) ready(ctx context.Context, _ int) error {
	conn, err := pgx.Connect(ctx, b.DatabaseURL("pgbouncer")+"&default_query_exec_mode=simple_protocol")
	if err == nil {
		_, err = conn.Exec(ctx, "show version")
		err = errors.Join(err, conn.Close(ctx))
	}
	return err
}

// URL is the address of the server's database by way of the pooler, with user and password.
func (b *PgBouncer) URL() string { return b.DatabaseURL(petvote) }

// DatabaseURL is the address of another database by way of the pooler, with user and password.
func (b *PgBouncer) DatabaseURL(name string) string { return databaseURL(b.place, name) }
