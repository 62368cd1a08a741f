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
	err := c.Run()
	if want := []string{"ops server", "redis client", "telemetry"}; !slices.Equal(done, want) {
		t.Errorf("done: %q, want %q", done, want)
	}
	if !errors.Is(err, failure) || !strings.Contains(err.Error(), "stop redis client: ") {
		t.Errorf("err = %v, want the failure and what failed", err)
	}
	if err := c.Run(); err != nil || len(done) != 3 {
		t.Errorf("a second run did %q with %v", done[3:], err)
	}
}

func TestEachCleanupHasATimeOutOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Cleanups
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		c.Add("first", hang)
		c.Add("second", hang)
		start := time.Now()
		err := c.Run()
		if took := time.Since(start); took != 2*cleanupTimeout {
			t.Errorf("took %v, want twice the time-out", took)
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
			time.Sleep(time.Second) // the work in hand
			ended = true
			return nil
		})
		synctest.Wait()
		if err := c.Run(); err != nil || !ended {
			t.Errorf("ended: %v, err = %v", ended, err)
		}
	})
}

func TestABackgroundTaskThatFailedOrHangsIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Cleanups
		release := make(chan struct{})
		c.Background("stuck watcher", func(context.Context) error { <-release; return nil })
		c.Background("broken watcher", func(context.Context) error { return errors.New("no more") })
		start := time.Now()
		err := c.Run()
		if took := time.Since(start); took != cleanupTimeout+reportGrace {
			t.Errorf("waited %v for the task that hangs, want the time-out", took)
		}
		for _, want := range []string{"stop stuck watcher: did not end in time", "stop broken watcher: no more"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("err = %v, want %q in it", err, want)
			}
		}
		close(release)
	})
}
