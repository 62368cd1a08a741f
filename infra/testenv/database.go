package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"petvote/infra/servers"
)

// shared is the PostgreSQL server of this test program's databases. The first NewDatabase starts it.
var shared struct {
	sync.Mutex
	server    *servers.Postgres
	err       error // of the only attempt to start it
	databases int
}

// NewDatabase creates an empty database for one test, which is dropped after it, and returns its URL, with user and
// password.
func NewDatabase(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = start(context.Background(), func(dir string) (*servers.Postgres, error) {
			return servers.NewPostgres(servers.PostgresConfig{Dir: dir, Settings: []string{"max_connections=300"}})
		})
	}
	if shared.err != nil {
		t.Fatalf("testenv: %v", shared.err)
	}
	shared.databases++
	server, name := shared.server, fmt.Sprintf("test_%d", shared.databases)
	if err := execute(server, "create database "+name); err != nil {
		t.Fatalf("testenv: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(server, "drop database "+name+" with (force)"); err != nil {
			t.Errorf("testenv: %v", err)
		}
	})
	return server.DatabaseURL(name)
}

// execute runs one statement on a connection of its own.
func execute(server *servers.Postgres, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.URL())
	if err == nil {
		_, err = conn.Exec(ctx, statement)
		err = errors.Join(err, conn.Close(ctx))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// Main runs a package's tests, stops the shared server, and then checks that no goroutine is left. It returns the exit
// status.
func Main(m *testing.M, options ...goleak.Option) int {
	status := m.Run()
	var err error
	if shared.server != nil {
		err = discard(shared.server)
	}
	if status == 0 { // a failed test may leave a goroutine; its own message is the one to read
		err = errors.Join(err, goleak.Find(options...))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		return 1
	}
	return status
}
