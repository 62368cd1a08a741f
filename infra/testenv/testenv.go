// Package testenv gives tests private, real Redis and PostgreSQL servers, which they may kill, pause and start again.
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
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"petvote/infra/servers"
)

// discardLimit bounds the end of a server after its test, whose own context is done by then.
const discardLimit = 20 * time.Second

// NewRedis starts a Redis server for one test, which ends with it. The options change the configuration before the
// start:
//
//	testenv.NewRedis(t, func(c *servers.RedisConfig) { c.MaxMemory = "4mb" })
func NewRedis(t testing.TB, options ...func(*servers.RedisConfig)) *servers.Redis {
	t.Helper()
	return startFor(t, func(dir string) (*servers.Redis, error) {
		cfg := servers.RedisConfig{Dir: dir}
		for _, option := range options {
			option(&cfg)
		}
		return servers.NewRedis(cfg)
	})
}

// NewPostgres starts a PostgreSQL server with an empty database for one test, which ends with it. The options change
// the configuration before the start, as with NewRedis.
func NewPostgres(t testing.TB, options ...func(*servers.PostgresConfig)) *servers.Postgres {
	t.Helper()
	return startFor(t, func(dir string) (*servers.Postgres, error) {
		cfg := servers.PostgresConfig{Dir: dir}
		for _, option := range options {
			option(&cfg)
		}
		return servers.NewPostgres(cfg)
	})
}

// startFor starts a server for one test. A server that can't be stopped fails the test; the log of one whose test
// failed is shown.
func startFor[S servers.Server](t testing.TB, describe func(dir string) (S, error)) S {
	t.Helper()
	s, err := start(t.Context(), describe)
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
	dir, err := newPath()
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
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

// start starts a server in a new folder.
func start[S servers.Server](ctx context.Context, describe func(dir string) (S, error)) (s S, err error) {
	dir, err := newPath()
	if err != nil {
		return s, err
	}
	if s, err = describe(dir); err != nil {
		return s, err
	}
	if err = s.Start(ctx); err != nil {
		err = errors.Join(err, discard(s))
	}
	return s, err
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
func newPath() (string, error) {
	top, err := scratch()
	if err != nil {
		return "", err
	}
	return filepath.Join(top, strconv.FormatInt(paths.Add(1), 10)), nil
}
