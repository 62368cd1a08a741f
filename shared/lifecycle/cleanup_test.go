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

func TestEachCleanupHasATimeOutOfItsOwnAndAllOfThemHaveALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Cleanups
		heeds := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		c.Add("telemetry", func(ctx context.Context) error { return ctx.Err() }) // the last one still gets its turn
		for _, name := range []string{"6", "5", "4", "3", "2", "1"} {
			c.Add(name, heeds)
		}
		start := time.Now()
		err := c.Run()
		if took := time.Since(start); took != cleanupsLimit+4*leastTimeout {
			t.Errorf("took %v", took)
		}
		for _, name := range []string{"1", "6"} {
			if err == nil || !strings.Contains(err.Error(), "stop "+name+": context deadline exceeded") {
				t.Errorf("err = %v, which does not tell of %s", err, name)
			}
		}
		if err != nil && strings.Contains(err.Error(), "telemetry") {
			t.Error(err)
		}
	})
}

// The container's grace period is 15 s: the drain delay, the drain and the clean-ups fit into it even if all hang.
func TestTheWorstStopKeepsToTheGracePeriod(t *testing.T) {
	const delay, cleanups = 500 * time.Millisecond, 10
	worst := delay + drainTimeout + cleanupsLimit + cleanups*(leastTimeout+reportGrace)
	if worst > 15*time.Second {
		t.Errorf("it takes up to %v", worst)
	}
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
