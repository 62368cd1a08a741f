package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExitStatusTellsFailureFromAStopThatWasAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"done":    {nil, 0},
		"failed":  {errors.New("listen: address already in use"), 1},
		"cut off": {fmt.Errorf("migrate: %w", context.Canceled), 1}, // by nobody's signal
	} {
		if got := Main("test", func(context.Context, []string, []string) error { return c.err }); got != c.want {
			t.Errorf("%s: status %d, want %d", name, got, c.want)
		}
	}
}

func TestASignalEndsTheContextOfTheProgram(t *testing.T) {
	status := Main("test", func(ctx context.Context, _, _ []string) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if status != 0 {
		t.Errorf("status %d", status)
	}
}
