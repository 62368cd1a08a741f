// Package testenv gives tests private, real Redis, PostgreSQL and PgBouncer servers, which they may kill, pause and
// start again.
//
// A test that needs only a database takes NewDatabase: a fresh, empty one on a server that all tests of the program
// share. A test that does harm to a server takes its own with NewPostgres or NewRedis. Where the server's program is
// missing the test fails and says what to install: a test that skips would prove nothing.
//
// A package that uses NewDatabase has
//
//	func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }
//
// No process and no folder stays behind, however the test program ends: see servers.NewScratch.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"petvote/infra/servers"
	"petvote/infra/wait"
)

// discardLimit bounds the end of a server after its test, whose own context is done by then.
const discardLimit = 20 * time.Second

// NewRedis starts a Redis server for one test, which ends with it. The options change the configuration before the
// start:
//
//	testenv.NewRedis(t, func(c *servers.RedisConfig) { c.MaxMemory = "4mb" })
func NewRedis(t testing.TB, options ...func(*servers.RedisConfig)) *servers.Redis {
	t.Helper()
	return startFor(t, servers.RedisConfig{Dir: newPath(t)}, options, servers.NewRedis)
}

// NewPostgres starts a PostgreSQL server with an empty database for one test, which ends with it. The options change
// the configuration before the start, as with NewRedis.
func NewPostgres(t testing.TB, options ...func(*servers.PostgresConfig)) *servers.Postgres {
	t.Helper()
	return startFor(t, servers.PostgresConfig{Dir: newPath(t)}, options, servers.NewPostgres)
}

// NewPgBouncer starts a pooler for one test, which ends with it, in front of a PostgreSQL that need not run yet. The
// options change the configuration before the start, as with NewRedis.
func NewPgBouncer(t testing.TB, server string, options ...func(*servers.PgBouncerConfig)) *servers.PgBouncer {
	t.Helper()
	if _, err := servers.NewPgBouncer(servers.PgBouncerConfig{Port: 1}); errors.Is(err, servers.ErrNotInstalled) {
		Missing(t, "pgbouncer")
	}
	return startFor(t, servers.PgBouncerConfig{Dir: newPath(t), Server: server}, options, servers.NewPgBouncer)
}

// NewRelay starts a relay for one test, which ends with it.
func NewRelay(t testing.TB, to string, delays servers.Delays) *servers.Relay {
	t.Helper()
	relay, err := servers.NewRelay(to, delays)
	Must(t, err)
	t.Cleanup(func() { _ = relay.Close() })
	return relay
}

// startFor starts a server for one test. A server that can't be stopped fails the test; the log of one whose test
// failed is shown.
func startFor[C any, S servers.Server](
	t testing.TB, cfg C, options []func(*C), describe func(C) (S, error),
) S {
	t.Helper()
	for _, option := range options {
		option(&cfg)
	}
	s, err := describe(cfg)
	if err == nil {
		err = start(t.Context(), s)
	}
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of %T:\n%s", s, s.Log())
		}
		if err := discard(s); err != nil {
			t.Errorf("testenv: discard %T: %v", s, err)
		}
	})
	return s
}

// NewFolder makes an empty folder for one test, which is removed after it, even if the test program is killed.
func NewFolder(t testing.TB) string {
	t.Helper()
	dir := newPath(t)
	Must(t, os.Mkdir(dir, 0o700))
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("testenv: %v", err)
		}
	})
	return dir
}

// Missing ends a test that lacks a program, named as for ./infra/packages/install. The test fails, since one that skips
// proves nothing, except where PETVOTE_MISSING says that the program can't be had on this machine.
func Missing(t testing.TB, program string) {
	t.Helper()
	if slices.Contains(strings.Fields(os.Getenv("PETVOTE_MISSING")), program) {
		t.Skipf("%s can't be had on this machine (PETVOTE_MISSING)", program)
	}
	t.Fatalf("%s is not installed: ./infra/packages/install %s does it, or says how", program, program)
}

// Slow leaves a test out of -short.
func Slow(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("not among the quick tests, which -short keeps")
	}
}

// Must ends a test at an error of the test itself.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually repeats a check until it returns nil, for a minute at most, since the machine may be busy.
func Eventually(t testing.TB, check func() error) {
	t.Helper()
	Must(t, wait.Until(t.Context(), time.Minute, func(context.Context) error { return check() }))
}

// Glob returns the files of a pattern; there is at least one.
func Glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}

// start leaves nothing behind after an error.
func start(ctx context.Context, s servers.Server) error {
	err := s.Start(ctx)
	if err != nil {
		err = errors.Join(err, discard(s))
	}
	return err
}

func discard(s servers.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), discardLimit)
	defer cancel()
	return s.Discard(ctx)
}

var (
	paths   atomic.Int64
	scratch = sync.OnceValues(func() (string, error) { return servers.NewScratch("petvote-test-*") })
)

// newPath returns the path of a folder that does not exist yet, in the scratch folder of this test program.
func newPath(t testing.TB) string {
	t.Helper()
	top, err := scratch()
	Must(t, err)
	return filepath.Join(top, strconv.FormatInt(paths.Add(1), 10))
}

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
		cfg := servers.PostgresConfig{Dir: newPath(t), Settings: []string{"max_connections=300"}}
		if shared.server, shared.err = servers.NewPostgres(cfg); shared.err == nil {
			shared.err = start(context.Background(), shared.server)
		}
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

// execute bounds a statement by itself: the test's own context may be done.
func execute(server *servers.Postgres, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return server.Execute(ctx, statement)
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
