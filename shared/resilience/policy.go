package resilience

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/sony/gobreaker"
)

// ErrUnavailable reports that a dependency did not complete a call within the policy's limits.
var ErrUnavailable = errors.New("unavailable")

// class is the meaning of an error to the policy.
type class int

const (
	failed   class = iota // the dependency did not do it: counted, retried
	answered              // it did it, or would answer the same again: not retried
	canceled              // the caller gave up: neither counted nor retried
)

// classify recognises a canceled attempt by its context, because clients wrap the cancellation in errors of their own.
// An attempt's own time-out is the dependency's failure.
func (p *Policy) classify(attempt context.Context, err error) class {
	switch {
	case err == nil:
		return answered
	case errors.Is(attempt.Err(), context.Canceled):
		return canceled
	case errors.Is(err, context.DeadlineExceeded) || p.settings.Permanent == nil || !p.settings.Permanent(err):
		return failed
	}
	return answered
}

// Settings configure a [Policy]. Zero values take the defaults given.
type Settings struct {
	// Name identifies the policy in metrics, logs and health answers, as "dependency" or "dependency-use".
	Name string
	// Timeout bounds one attempt, or is [NoTimeout]; Budget caps it. Default 1 s.
	Timeout time.Duration
	// Budget bounds the whole call, waits included. 0: only the caller's context does.
	Budget time.Duration
	// FirstWait and MaxWait bound the growing, jittered wait between attempts. Defaults 50 ms and 1 s.
	FirstWait, MaxWait time.Duration
	// Failures is how many in a row open the breaker. Default 5.
	Failures uint32
	// OpenFor is how long an open breaker refuses calls before it lets one probe through. Default 500 ms.
	OpenFor time.Duration
	// Permanent reports errors that a retry would only repeat. They are neither counted nor retried. Nil reports none.
	Permanent func(error) bool
	// Oversized reports failures that only the caller can mend, by asking for less at once. They are counted and not
	// retried. Nil reports none.
	Oversized func(error) bool
	// Listener may be nil.
	Listener Listener
}

// NoTimeout is for attempts that may take as long as they need.
const NoTimeout time.Duration = math.MaxInt64

// Listener receives a policy's events. Its methods must return quickly and must not call the policy.
type Listener interface {
	// Attempt is called after every attempt that reached the dependency, with the attempt's error or nil.
	Attempt(ctx context.Context, policy string, took time.Duration, err error)
	// Retry is called before the wait for the next attempt, or before the caller is to make it after an oversized one.
	Retry(ctx context.Context, policy string, attempt int, err error, wait time.Duration)
	// BreakerSeen is called when the breaker's state after an attempt differs from that before it.
	BreakerSeen(ctx context.Context, policy string, from, to State)
	// BreakerChanged is called once for each change of the breaker's state.
	BreakerChanged(policy string, from, to State)
}

// State is a breaker's state. The breaker metric exports its number.
type State int

// The states of a breaker.
const (
	Closed State = iota
	HalfOpen
	Open
)

func (s State) String() string { return gobreaker.State(s).String() }

// Policy is safe for concurrent use. Make one for each dependency and use, and share it.
type Policy struct {
	settings Settings
	breaker  *gobreaker.TwoStepCircuitBreaker
	failure  atomic.Pointer[failure] // the last one
	success  atomic.Int64            // the last one, in Unix nanoseconds
}

// New returns a policy with a closed breaker.
func New(s Settings) *Policy {
	s.Timeout = cmp.Or(s.Timeout, time.Second)
	if s.Budget > 0 {
		s.Timeout = min(s.Timeout, s.Budget)
	}
	s.FirstWait = cmp.Or(s.FirstWait, 50*time.Millisecond)
	s.MaxWait = cmp.Or(s.MaxWait, time.Second)
	s.OpenFor = cmp.Or(s.OpenFor, 500*time.Millisecond)
	s.Failures = cmp.Or(s.Failures, 5)
	s.Listener = cmp.Or[Listener](s.Listener, silent{})
	return &Policy{settings: s, breaker: gobreaker.NewTwoStepCircuitBreaker(gobreaker.Settings{
		Name:        s.Name,
		MaxRequests: 1,
		Timeout:     s.OpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= s.Failures },
		OnStateChange: func(name string, from, to gobreaker.State) {
			s.Listener.BreakerChanged(name, State(from), State(to))
		},
	})}
}

// Name returns the policy's name.
func (p *Policy) Name() string { return p.settings.Name }

// Breaker returns the breaker's current state.
func (p *Policy) Breaker() State { return State(p.breaker.State()) }

type failure struct {
	at  time.Time
	err error
}

// usable reports that the breaker, in the state given, is closed, or half-open without a recent failure.
func (p *Policy) usable(breaker State) bool {
	const recent = 2 * time.Second
	f := p.failure.Load()
	failing := f != nil && f.at.UnixNano() > p.success.Load() && time.Since(f.at) < recent
	return breaker == Closed || breaker == HalfOpen && !failing
}

// Do makes one call under the policy. call must honour its context and be safe to repeat. The error is a permanent or
// oversized one as call returned it, the context's if the caller gave up, or wraps [ErrUnavailable] and the last
// attempt's error.
func (p *Policy) Do(ctx context.Context, call func(context.Context) error) error {
	begin := time.Now()
	err := p.attempt(ctx, call)
	if err != nil { // Fast path: most calls succeed at the first attempt, so retry state is built only when needed.
		err = p.retry(ctx, begin, err, call)
	}
	return err
}

// retry continues a call after its first attempt, which failed. The call's budget began with that attempt.
func (p *Policy) retry(caller context.Context, begin time.Time, last error, call func(context.Context) error) error {
	ctx, left := caller, time.Duration(0)
	if p.settings.Budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, begin.Add(p.settings.Budget))
		defer cancel()
		deadline, _ := ctx.Deadline()       // the caller's, if that is earlier
		left = max(time.Until(deadline), 1) // 0 would mean no limit
	}
	attempt := 0
	err := backoff.RetryNotify(func() error {
		if attempt++; attempt > 1 { // the first was made by Do
			last = p.attempt(ctx, call)
		}
		return last
	}, p.waits(ctx, left), func(err error, wait time.Duration) {
		p.settings.Listener.Retry(ctx, p.settings.Name, attempt, err, wait)
	})
	if err == nil {
		return nil
	}
	if errors.Is(caller.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", p.settings.Name, caller.Err())
	}
	if stop, ok := errors.AsType[*backoff.PermanentError](last); ok {
		if p.oversized(stop.Err) {
			p.settings.Listener.Retry(ctx, p.settings.Name, attempt, stop.Err, 0)
		}
		if !Refused(stop.Err) {
			return stop.Err
		}
		last = stop.Err
	}
	return p.unavailable(last)
}

func (p *Policy) unavailable(last error) error {
	return fmt.Errorf("%s %w: %w", p.settings.Name, ErrUnavailable, last)
}

// Once makes a single attempt under the policy's time-out and breaker. The error is the attempt's, or the breaker's if
// it refuses the call.
func (p *Policy) Once(ctx context.Context, call func(context.Context) error) error {
	err := p.attempt(ctx, call)
	if stop, ok := errors.AsType[*backoff.PermanentError](err); ok {
		return stop.Err
	}
	return err
}

// attempt makes the call once. An error that must not be retried comes back as a backoff.PermanentError.
func (p *Policy) attempt(ctx context.Context, call func(context.Context) error) error {
	before := p.Breaker()
	done, err := p.breaker.Allow()
	if err != nil {
		if p.settings.Budget > 0 {
			return backoff.Permanent(err)
		}
		return err
	}
	attemptCtx, cancel := p.bound(ctx, before != Closed)
	start := time.Now()
	finished := false
	defer func() {
		cancel()
		if !finished { // call panicked: leave the breaker consistent and let the panic pass
			done(false)
		}
	}()
	err = call(attemptCtx)
	finished = true
	outcome := p.classify(attemptCtx, err)
	switch {
	case outcome == failed:
		done(false)
		p.failure.Store(&failure{time.Now(), err})
	case outcome == answered:
		done(true)
		p.success.Store(time.Now().UnixNano())
	case before != Closed:
		done(false) // a probe that was cut off proves nothing, so the breaker stays open
	}
	p.settings.Listener.Attempt(ctx, p.settings.Name, time.Since(start), err)
	if after := p.Breaker(); after != before {
		p.settings.Listener.BreakerSeen(ctx, p.settings.Name, before, after)
	}
	if err != nil && (outcome != failed || p.oversized(err)) {
		return backoff.Permanent(err)
	}
	return err
}

func (p *Policy) oversized(err error) bool {
	return p.settings.Oversized != nil && p.settings.Oversized(err)
}

// probeGrace is how long a probe of a breaker goes on when its caller cancels. Callers that give up at once, over and
// over, must not keep a breaker open, and the end of a service must not wait for a call that hangs.
const probeGrace = time.Second

// bound returns an attempt's context: the caller's, under the time-out, except that the cancellation of a probe is
// late.
func (p *Policy) bound(caller context.Context, probe bool) (context.Context, context.CancelFunc) {
	if !probe {
		return context.WithTimeout(caller, p.settings.Timeout)
	}
	end := time.Now().Add(p.settings.Timeout)
	if budget, ok := caller.Deadline(); ok && budget.Before(end) {
		end = budget
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(caller), end)
	stop := context.AfterFunc(caller, func() { time.AfterFunc(probeGrace, cancel) })
	return ctx, func() { stop(); cancel() }
}

// waits grow by half from FirstWait to MaxWait, jittered by ±50 % so that callers that failed together do not retry
// together. They end when the next one would not fit into the time left.
func (p *Policy) waits(ctx context.Context, left time.Duration) backoff.BackOff {
	b := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(p.settings.FirstWait),
		backoff.WithMaxInterval(p.settings.MaxWait),
		backoff.WithMaxElapsedTime(left),
	)
	return backoff.WithContext(b, ctx)
}

// Refused reports that an open breaker refused the call: it never reached the dependency.
func Refused(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

// Call is [Policy.Do] for a call that returns a value.
func Call[T any](ctx context.Context, p *Policy, call func(context.Context) (T, error)) (T, error) {
	var result T
	err := p.Do(ctx, func(ctx context.Context) error {
		var err error
		result, err = call(ctx)
		return err
	})
	return result, err
}

type silent struct{}

func (silent) Attempt(context.Context, string, time.Duration, error)    {}
func (silent) Retry(context.Context, string, int, error, time.Duration) {}
func (silent) BreakerSeen(context.Context, string, State, State)        {}
func (silent) BreakerChanged(string, State, State)                      {}
