package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"petvote/infra/servers"
)

// discardLimit bounds the end of a server after its test, whose own context is done by then.
const discardLimit = 20 * time.Second

// NewRedis starts a Redis server for one test, which ends with it. The options change the configuration before the start:
//
//	testenv.NewRedis(t, func(c *servers.RedisConfig) { c.MaxMemory = "4mb" })
func NewRedis(t testing.TB, options ...func(*servers.RedisConfig)) *servers.Redis {
	t.Helper()
	server, err := startAnew(t.Context(), func(dir string) (*servers.Redis, error) {
		cfg := servers.RedisConfig{Dir: dir}
		for _, option := range options {
			option(&cfg)
		}
		return servers.NewRedis(cfg)
	})
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	discardAfter(t, "redis", server)
	return server
}

// NewPostgres starts a PostgreSQL server with an empty database for one test, which ends with it. The options change the
// configuration before the start, as with NewRedis.
func NewPostgres(t testing.TB, options ...func(*servers.PostgresConfig)) *servers.Postgres {
	t.Helper()
	server, err := startAnew(t.Context(), func(dir string) (*servers.Postgres, error) {
		cfg := servers.PostgresConfig{Dir: dir, Template: servers.TemplateFolder()}
		for _, option := range options {
			option(&cfg)
		}
		return servers.NewPostgres(cfg)
	})
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	discardAfter(t, "postgres", server)
	return server
}

// NewFolder makes an empty folder for one test, which goes with it, and even if the test program is killed.
func NewFolder(t testing.TB) string {
	t.Helper()
	dir, err := newFolder()
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(fmt.Errorf("testenv: %w", err))
		}
	})
	return dir
}

// server is what Redis and PostgreSQL have in common here.
type server interface {
	Start(context.Context) error
	Discard(context.Context) error
	Log() string
}

// startAnew starts a server in a new folder. Another program may take the free port before the server does; then it is done
// again with another one.
func startAnew[S server](ctx context.Context, describe func(dir string) (S, error)) (S, error) {
	for attempt := 1; ; attempt++ {
		var none S
		dir, err := newFolder()
		if err != nil {
			return none, err
		}
		s, err := describe(dir)
		if err != nil {
			return none, err
		}
		err = s.Start(ctx)
		if err == nil {
			return s, nil
		}
		discard, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardLimit)
		err = errors.Join(err, s.Discard(discard))
		cancel()
		var early *servers.EarlyExit
		if attempt == 3 || !errors.As(err, &early) || !early.AddressInUse() {
			return none, err
		}
	}
}

// discardAfter ends the server with its test. A server that can't be ended fails the test; the log of one whose test failed
// is shown.
func discardAfter(t testing.TB, name string, s server) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", name, s.Log())
		}
		ctx, cancel := context.WithTimeout(context.Background(), discardLimit)
		defer cancel()
		if err := s.Discard(ctx); err != nil {
			t.Error(fmt.Errorf("testenv: discard %s: %w", name, err))
		}
	})
}
