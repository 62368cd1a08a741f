package resilience

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDown = errors.New("connection refused")
	errData = errors.New("bad data")
)

func isData(err error) bool { return errors.Is(err, errData) }

func TestRetriesUntilTheCallSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := &recorder{}
		p := New(Settings{Name: "db", Permanent: isData, Listener: heard})
		calls := 0
		err := p.Do(t.Context(), func(context.Context) error {
			if calls++; calls < 4 {
				return errDown
			}
			return nil
		})
		if err != nil || calls != 4 {
			t.Fatalf("err %v after %d calls, want success after 4", err, calls)
		}
		if heard.retries != 3 || heard.attempts != 4 {
			t.Errorf("heard %d retries and %d attempts, want 3 and 4", heard.retries, heard.attempts)
		}
	})
}

func TestTheBudgetBoundsTheCallAndTheErrorNamesTheCause(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, c := range map[string]struct {
		settings Settings
		call     func(context.Context) error
		cause    error
		breaker  State
	}{
		"failing attempts":  {Settings{Failures: 1000}, func(context.Context) error { return errDown }, errDown, Closed},
		"hanging attempts":  {Settings{Timeout: 900 * time.Millisecond, Failures: 2}, hang, gobreaker.ErrOpenState, Open},
		"the first attempt": {Settings{Timeout: time.Hour}, hang, context.DeadlineExceeded, Closed},
	} {
		synctest.Test(t, func(t *testing.T) {
			c.settings.Name, c.settings.Budget = "redis", 2*time.Second
			p, start := New(c.settings), time.Now()
			err := p.Do(t.Context(), c.call)
			if took := time.Since(start); took > 2*time.Second || !errors.Is(err, ErrUnavailable) || !errors.Is(err, c.cause) {
				t.Errorf("%s: %v after %v", name, err, took)
			}
			if p.Breaker() != c.breaker {
				t.Errorf("%s: the breaker is %v, want %v", name, p.Breaker(), c.breaker)
			}
		})
	}
}

func TestWithABudgetAnOpenBreakerRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := opened(t, Settings{Name: "redis", Budget: 2 * time.Second, OpenFor: time.Second})
		start := time.Now()
		err := p.Do(t.Context(), func(context.Context) error { t.Error("called through an open breaker"); return nil })
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, gobreaker.ErrOpenState) || time.Since(start) != 0 {
			t.Errorf("err = %v after %v", err, time.Since(start))
		}
	})
}

func TestWithoutABudgetAnOpenBreakerIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := opened(t, Settings{Name: "db", OpenFor: 5 * time.Second})
		start := time.Now()
		if err := p.Do(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 5*time.Second || took > 7*time.Second {
			t.Errorf("went through after %v, want soon after 5 s", took)
		}
		if p.Breaker() != Closed {
			t.Errorf("breaker is %v after the successful try, want closed", p.Breaker())
		}
	})
}

func TestHalfOpenBreakerLetsOneThroughAndOpensAgainOnFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := opened(t, Settings{Name: "redis", Budget: time.Second, OpenFor: time.Second})
		time.Sleep(1100 * time.Millisecond)
		if p.Breaker() != HalfOpen {
			t.Fatalf("breaker is %v, want half-open", p.Breaker())
		}
		started, release := make(chan struct{}), make(chan struct{})
		probe := make(chan error, 1)
		go func() {
			probe <- p.Once(t.Context(), func(context.Context) error { close(started); <-release; return errDown })
		}()
		<-started
		err := p.Do(t.Context(), func(context.Context) error { return nil })
		if !errors.Is(err, gobreaker.ErrTooManyRequests) {
			t.Errorf("second call during the probe: %v", err)
		}
		close(release)
		if err := <-probe; !errors.Is(err, errDown) {
			t.Errorf("the probe: %v", err)
		}
		if p.Breaker() != Open {
			t.Errorf("breaker is %v after a failed probe, want open", p.Breaker())
		}
	})
}

func TestPermanentErrorsAreReturnedAsTheyAreAndNotCounted(t *testing.T) {
	p := New(Settings{Name: "db", Failures: 1, Permanent: isData})
	for range 10 {
		calls := 0
		err := p.Do(t.Context(), func(context.Context) error { calls++; return errData })
		if !errors.Is(err, errData) || errors.Is(err, ErrUnavailable) || calls != 1 {
			t.Fatalf("err = %v after %d calls", err, calls)
		}
	}
	if p.Breaker() != Closed {
		t.Errorf("breaker is %v, want closed", p.Breaker())
	}
}

func TestWithoutATimeoutAnAttemptMayTakeHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Settings{Name: "db", Timeout: NoTimeout})
		calls := 0
		err := p.Do(t.Context(), func(ctx context.Context) error {
			calls++
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Hour):
				return nil
			}
		})
		if err != nil || calls != 1 {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
}

// The caller must ask for less; the dependency has failed nevertheless.
func TestOversizedCallsComeBackAndAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
		heard := &recorder{}
		p := New(Settings{Name: "db", Failures: 4, Oversized: late, Listener: heard})
		calls := 0
		for range 3 {
			err := p.Do(t.Context(), func(ctx context.Context) error {
				if calls++; calls == 2 {
					return errDown // is retried
				}
				<-ctx.Done()
				return ctx.Err()
			})
			if !late(err) || errors.Is(err, ErrUnavailable) {
				t.Errorf("err = %v", err)
			}
		}
		if calls != 4 || heard.retries != 4 || p.Breaker() != Open {
			t.Errorf("%d calls, %d retries heard, and the breaker is %v", calls, heard.retries, p.Breaker())
		}
	})
}

func TestCancellationEndsTheWaitAndIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Settings{Name: "db", Failures: 2, FirstWait: time.Hour, MaxWait: time.Hour, Permanent: isData})
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			err := p.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return errors.New("client's own words") })
			if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
				t.Fatalf("err = %v, want the cancellation", err)
			}
		}
		if p.Breaker() != Closed {
			t.Errorf("breaker is %v, want closed", p.Breaker())
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		err := p.Do(ctx, func(context.Context) error { return errDown })
		if !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
			t.Errorf("cancelled while waiting: %v after %v", err, time.Since(start))
		}
	})
}

// Clients that close their connections at once are the first to call whenever the breaker lets a probe through.
func TestCanceledCallersDoNotKeepABreakerOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := opened(t, Settings{Name: "db", Budget: time.Second, OpenFor: 500 * time.Millisecond})
		answer := func(ctx context.Context) error { // in 20 ms
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Millisecond):
				return nil
			}
		}
		var clients sync.WaitGroup
		for i := range 200 { // a second
			clients.Go(func() {
				time.Sleep(time.Duration(i) * 5 * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				time.AfterFunc(time.Millisecond, cancel)
				_ = p.Do(ctx, answer)
			})
		}
		time.Sleep(530 * time.Millisecond)
		if p.Breaker() != Closed {
			t.Errorf("the breaker is %v, though the dependency answers again", p.Breaker())
		}
		clients.Wait()
	})
}

func TestAProbeThatHangsIsCutOffASecondAfterItsCallerGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := opened(t, Settings{Name: "db", Timeout: time.Minute, OpenFor: time.Second})
		time.Sleep(1100 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		cancel()
		err := p.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if took := time.Since(start); !errors.Is(err, context.Canceled) || took != probeGrace || p.Breaker() != Open {
			t.Errorf("%v after %v, and the breaker is %v", err, took, p.Breaker())
		}
	})
}

func TestAProbeKeepsToTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := opened(t, Settings{Name: "redis", Timeout: 900 * time.Millisecond, OpenFor: time.Second})
		time.Sleep(1100 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := p.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if took := time.Since(start); !errors.Is(err, ErrUnavailable) || took != 100*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestCancellationDoesNotExcuseFailures(t *testing.T) {
	p := New(Settings{Name: "db", Failures: 3, Permanent: isData})
	for range 3 {
		_ = p.Once(t.Context(), func(context.Context) error { return errDown })
		ctx, cancel := context.WithCancel(t.Context())
		_ = p.Do(ctx, func(context.Context) error { cancel(); return errDown })
	}
	if p.Breaker() != Open {
		t.Errorf("breaker is %v after three failures with cancellations between them, want open", p.Breaker())
	}
}

func TestListenerHearsEachBreakerChangeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := &recorder{}
		p := opened(t, Settings{Name: "db", OpenFor: time.Second, Listener: heard})
		if err := p.Do(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if want := []State{Open, HalfOpen, Closed}; !slices.Equal(heard.changes, want) {
			t.Errorf("changes = %v, want %v", heard.changes, want)
		}
		if heard.seen == 0 {
			t.Error("no call saw the breaker change")
		}
	})
}

func TestPanicPassesThroughAndCountsAsFailure(t *testing.T) {
	p := New(Settings{Name: "db", Failures: 1})
	func() {
		defer func() { _ = recover() }()
		_ = p.Do(t.Context(), func(context.Context) error { panic("boom") })
		t.Error("the panic was swallowed")
	}()
	if p.Breaker() != Open {
		t.Errorf("breaker is %v, want open", p.Breaker())
	}
}

// opened returns a policy whose breaker failures have just opened.
func opened(t *testing.T, s Settings) *Policy {
	t.Helper()
	s.Failures = 2
	p := New(s)
	for range 2 {
		_ = p.Once(t.Context(), func(context.Context) error { return errDown })
	}
	if p.Breaker() != Open {
		t.Fatalf("breaker is %v, want open", p.Breaker())
	}
	return p
}

type recorder struct {
	attempts, retries, seen int
	retried                 []int // the attempts that were followed by another
	changes                 []State
}

func (r *recorder) Attempt(context.Context, string, time.Duration, error) { r.attempts++ }
func (r *recorder) Retry(_ context.Context, _ string, attempt int, _ error, _ time.Duration) {
	r.retries++
	r.retried = append(r.retried, attempt)
}
func (r *recorder) BreakerSeen(context.Context, string, State, State) { r.seen++ }
func (r *recorder) BreakerChanged(_ string, _, to State)              { r.changes = append(r.changes, to) }
