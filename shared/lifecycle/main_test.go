package lifecycle

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAFailureIsTheExitStatus(t *testing.T) {
	for want, err := range []error{nil, errors.New("listen: address already in use")} {
		if got := Main("test", func(context.Context, []string, []string) error { return err }); got != want {
			t.Errorf("%v: status %d, want %d", err, got, want)
		}
	}
}

func TestASignalEndsTheContextOfTheProgram(t *testing.T) {
	status := Main("test", func(ctx context.Context, _, _ []string) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	if status != 0 {
		t.Errorf("status %d", status)
	}
}
