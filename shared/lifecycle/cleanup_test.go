package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCleanupsRunOnceInReverseOrderAndAFailureSkipsNone(t *testing.T) {
	var (
		c    Cleanups
		done []string
	)
	failure := errors.New("already closed")
	c.Add("telemetry", func(context.Context) error { done = append(done, "telemetry"); return nil })
	c.Add("redis client", func(context.Context) error { done = append(done, "redis client"); return failure })
	c.Add("ops server", func(context.Context) error { done = append(done, "ops server"); return nil })
	err := c.Run(time.Second)
	if want := []string{"ops server", "redis client", "telemetry"}; !slices.Equal(done, want) {
		t.Errorf("done: %q, want %q", done, want)
	}
	if !errors.Is(err, failure) || !strings.Contains(err.Error(), "stop redis client: ") {
		t.Errorf("err = %v, want the failure and what failed", err)
	}
	if err := c.Run(time.Second); err != nil || len(done) != 3 {
		t.Errorf("a second run did %q with %v", done[3:], err)
	}
}

func TestEachCleanupHasTheWholeBoundForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Cleanups
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		c.Add("first", hang)
		c.Add("second", hang)
		start := time.Now()
		err := c.Run(3 * time.Second)
		if took := time.Since(start); took != 6*time.Second {
			t.Errorf("took %v, want twice the bound", took)
		}
		for _, name := range []string{"first", "second"} {
			if err == nil || !strings.Contains(err.Error(), "stop "+name+": context deadline exceeded") {
				t.Errorf("err = %v, which does not tell of %s", err, name)
			}
		}
	})
}

func TestABackgroundTaskIsStoppedAndAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Cleanups
		ended := false
		c.Background("monitor", func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Second) // what it has in hand
			ended = true
			return nil
		})
		synctest.Wait()
		if err := c.Run(3 * time.Second); err != nil || !ended {
			t.Errorf("ended: %v, err = %v", ended, err)
		}
	})
}

func TestABackgroundTaskThatFailedOrHangsIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Cleanups
		release := make(chan struct{})
		c.Background("stuck feed", func(context.Context) error { <-release; return nil })
		c.Background("broken feed", func(context.Context) error { return errors.New("no more") })
		start := time.Now()
		err := c.Run(3 * time.Second)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("waited %v for the task that hangs, want the bound", took)
		}
		for _, want := range []string{"stop stuck feed: did not end in time", "stop broken feed: no more"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("err = %v, want %q in it", err, want)
			}
		}
		close(release)
	})
}
