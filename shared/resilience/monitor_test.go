package resilience

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// watched is a dependency that a test can take down, with its monitor.
type watched struct {
	*Monitor
	down, hangs atomic.Bool
	pings       atomic.Int32
}

// watch monitors a dependency until the end of the test.
func watch(t *testing.T, p *Policy, down bool) *watched {
	t.Helper()
	w := &watched{}
	w.down.Store(down)
	w.Monitor = NewMonitor(p, func(ctx context.Context) error {
		w.pings.Add(1)
		if w.hangs.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		if w.down.Load() {
			return errDown
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		if err := w.Run(ctx); err != nil {
			t.Errorf("the monitor ended with %v", err)
		}
		close(done)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

func TestMonitorPingsAtASteadyPaceWhileTheDependencyIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, New(Settings{Name: "redis", Failures: 1000}), true)
		time.Sleep(10*pingEvery + pingEvery/2)
		if n := w.pings.Load(); n != 11 {
			t.Errorf("%d pings in ten intervals, want 11: the ticks are the retries", n)
		}
	})
}

func TestAHangingPingIsCutOffBeforeACallWouldBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, New(Settings{Name: "postgres", Timeout: time.Minute}), false)
		synctest.Wait()
		if !w.Health().Up {
			t.Fatal("not up after the first ping")
		}
		w.hangs.Store(true)
		time.Sleep(lostPings*(pingEvery+pingTimeout) + time.Millisecond)
		synctest.Wait()
		if h := w.Health(); h.Up || h.LastError != context.DeadlineExceeded.Error() {
			t.Errorf("health %+v", h)
		}
	})
}

func TestOneLostPingIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, New(Settings{Name: "redis", Failures: 1000}), false)
		time.Sleep(pingEvery / 2)
		for i := range 10 {
			w.down.Store(i%2 == 0) // every other ping is lost
			time.Sleep(pingEvery)
			if h := w.Health(); !h.Up {
				t.Fatalf("health %+v", h)
			}
		}
		w.down.Store(true)
		time.Sleep(lostPings * pingEvery)
		if h := w.Health(); h.Up || h.LastError != errDown.Error() {
			t.Errorf("health %+v after %d lost pings", h, lostPings)
		}
	})
}

func TestAnOpenBreakerMeansDownWhateverThePingsSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Settings{Name: "redis", Failures: 2, OpenFor: time.Minute})
		w := watch(t, p, false)
		synctest.Wait()
		for range 2 {
			_ = p.Once(t.Context(), func(context.Context) error { return errDown })
		}
		if h := w.Health(); h.Up || h.Breaker != "open" {
			t.Errorf("health %+v, want down with an open breaker", h)
		}
	})
}

func TestSuccessfulPingsDoNotExcuseFailingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Settings{Name: "postgres", Failures: 3, OpenFor: 500 * time.Millisecond})
		w := watch(t, p, false)
		for range 20 { // a disk that is full: everything is answered, and no write succeeds
			_ = p.Once(t.Context(), func(context.Context) error { return errDown })
			time.Sleep(pingEvery)
		}
		synctest.Wait()
		if h := w.Health(); h.Up {
			t.Errorf("health %+v, want down", h)
		}
		_ = p.Once(t.Context(), func(context.Context) error { return nil })
		if h := w.Health(); !h.Up || h.Breaker != "closed" {
			t.Errorf("health %+v after a call that succeeded, want up", h)
		}
	})
}

func TestSinceIsTheLastChangeNotTheLastPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, New(Settings{Name: "redis", Failures: 1000}), false)
		start := time.Now()
		time.Sleep(4*pingEvery - time.Millisecond)
		w.down.Store(true)
		time.Sleep(10 * pingEvery)
		synctest.Wait()
		if h := w.Health(); h.Up || h.Since.Sub(start) != 5*pingEvery {
			t.Errorf("up %v since %v after the start, want down since the second lost ping", h.Up, h.Since.Sub(start))
		}
	})
}

func TestWaitUpReturnsOnRecoveryOrWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, New(Settings{Name: "postgres", Failures: 1000}), true)
		if w.Health().Up {
			t.Error("up before the first ping")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if err := w.WaitUp(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("while down: %v after %v", err, time.Since(start))
		}
		const waiters = 3
		came := make(chan error, waiters)
		for range waiters {
			go func() { came <- w.WaitUp(t.Context()) }()
		}
		synctest.Wait()
		w.down.Store(false)
		start = time.Now()
		for range waiters {
			if err := <-came; err != nil || time.Since(start) > pingEvery {
				t.Errorf("%v, %v after it came back", err, time.Since(start))
			}
		}
		if err := w.WaitUp(t.Context()); err != nil || time.Since(start) > pingEvery {
			t.Errorf("while up: %v after %v", err, time.Since(start))
		}
		if h := w.Health(); !h.Up || h.Breaker != "closed" {
			t.Errorf("health %+v after recovery", h)
		}
	})
}
