//go:build containers

package containertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"petvote/infra/testenv"
	"petvote/infra/tool"
	"petvote/infra/wait"
)

// platform is up while the tests run; running ends when the tests are interrupted.
var (
	platform *stack
	running  context.Context
)

// The bounds of set-up and clean-up. The first build of a machine downloads and compiles everything.
const (
	buildTimeout = 10 * time.Minute
	startTimeout = 2 * time.Minute
	downTimeout  = time.Minute
)

func TestMain(m *testing.M) {
	code, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "containertest:", err)
		code = 1
	}
	os.Exit(code)
}

// testMain removes every container, volume and image it made, also after an interrupt. What a kill or the test's
// time-out leaves behind, the next run removes.
func testMain(m *testing.M) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	running = ctx
	cache, err := os.UserCacheDir()
	if err != nil {
		return 1, err
	}
	lock, err := tool.Lock(filepath.Join(cache, project+".lock")) // a second run would remove this one's containers
	if err != nil {
		return 1, err
	}
	defer lock.Close()
	if platform, err = newStack(); err != nil {
		return 1, err
	}
	if err := platform.down(); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, platform.down()) }()
	if err := platform.up(ctx); err != nil {
		return 1, errors.Join(err, errors.New(platform.logs()))
	}
	if code = m.Run(); code != 0 {
		fmt.Fprintln(os.Stderr, platform.logs())
	}
	return code, context.Cause(ctx)
}

// within gives a test its time, of which an interrupt takes the rest.
func within(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(running, limit)
	t.Cleanup(cancel)
	return ctx
}

// patience bounds every wait for something that must come, however busy the machine is.
const patience = time.Minute

// eventually repeats a check until it returns nil; when the time is up, it ends the test with the last error.
func eventually(ctx context.Context, t *testing.T, check func() error) {
	t.Helper()
	testenv.Must(t, wait.Until(ctx, patience, func(context.Context) error { return check() }))
}
