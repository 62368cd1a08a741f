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
	unlock, err := lock()
	if err != nil {
		return 1, err
	}
	defer unlock()
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

// lock keeps a second run on this machine from removing the containers of the first. The kernel unlocks at the latest
// when the process ends.
func lock() (unlock func(), err error) {
	cache, err := os.UserCacheDir()
	if err == nil {
		err = os.MkdirAll(cache, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(cache, project+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another run holds %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

// within gives a test its time, of which an interrupt takes the rest.
func within(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(running, limit)
	t.Cleanup(cancel)
	return ctx
}

// patience bounds every wait for something that must come, however busy the machine is.
const patience = time.Minute

// eventually tries until check is content, and ends the test with its last error when the time is up.
func eventually(ctx context.Context, t *testing.T, check func() error) {
	t.Helper()
	testenv.Must(t, wait.Until(ctx, patience, func(context.Context) error { return check() }))
}
