package testenv

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"petvote/infra/servers"
)

// shared is the PostgreSQL server that the databases of this test program are on. The first NewDatabase starts it.
var shared struct {
	sync.Mutex
	server    *servers.Postgres
	err       error // of the only attempt to start it
	databases int
}

// NewDatabase creates an empty database for one test, which is dropped after it, and gives its URL, with user and password.
func NewDatabase(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = startAnew(context.Background(), func(dir string) (*servers.Postgres, error) {
			return servers.NewPostgres(servers.PostgresConfig{Dir: dir, MaxConnections: 300, Template: servers.TemplateFolder()})
		})
	}
	if shared.err != nil {
		t.Fatalf("testenv: %v", shared.err)
	}
	shared.databases++
	name := fmt.Sprintf("test_%d", shared.databases)
	if err := onServer(shared.server, "create database "+name); err != nil {
		t.Fatalf("testenv: %v", err)
	}
	server := shared.server
	t.Cleanup(func() {
		if err := onServer(server, "drop database "+name+" with (force)"); err != nil {
			t.Errorf("testenv: %v", err)
		}
	})
	return server.DatabaseURL(name)
}

// onServer runs one statement on a connection of its own.
func onServer(server *servers.Postgres, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.DatabaseURL("postgres"))
	if err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	_, err = conn.Exec(ctx, statement)
	if closed := conn.Close(ctx); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// Main runs a package's tests, stops the shared server, and then checks that no goroutine is left. It gives the exit status.
func Main(m *testing.M, options ...goleak.Option) int {
	status := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		return 1
	}
	if status != 0 {
		return status // a failed test may well have left a goroutine; its own message is the one to read
	}
	if err := goleak.Find(options...); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		return 1
	}
	return 0
}

func stopShared() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), discardLimit)
	defer cancel()
	return shared.server.Discard(ctx)
}
