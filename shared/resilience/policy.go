package resilience

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/sony/gobreaker"
)

// Settings are the numbers and hooks of a [Policy]. Zero values take the defaults given.
type Settings struct {
	// Name identifies the policy in metrics, logs and health answers, as "dependency" or "dependency-use".
	Name string
	// Timeout bounds one attempt, and is no more than Budget. Default 1 s.
	Timeout time.Duration
	// Budget bounds the whole call, waits included. 0 means until the caller's context ends.
	Budget time.Duration
	// FirstWait and MaxWait bound the growing, jittered wait between attempts. Defaults 50 ms and 1 s.
	FirstWait, MaxWait time.Duration
	// Failures in a row that open the breaker. Default 5.
	Failures uint32
	// OpenFor is how long an open breaker refuses before it lets one attempt through. Default 500 ms.
	OpenFor time.Duration
	// Classify sorts this dependency's errors. Nil takes every error for [Unavailable].
	Classify Classifier
	// Listener hears what happens. Nil is allowed.
	Listener Listener
}

// Listener hears what a policy does; metrics, logs and span events hang here. Its methods must return quickly and must
// not call the policy.
type Listener interface {
	// Attempt is called after every attempt that reached the dependency, with the attempt's error or nil.
	Attempt(ctx context.Context, policy string, took time.Duration, err error)
	// Retry is called before the wait for the next attempt.
	Retry(ctx context.Context, policy string, attempt int, err error, wait time.Duration)
	// BreakerSeen is called when the breaker stood otherwise after an attempt than before it.
	BreakerSeen(ctx context.Context, policy string, from, to State)
	// BreakerChanged is called once for every change of the breaker.
	BreakerChanged(policy string, from, to State)
}

// State is a breaker's state; its number is what the breaker metric exports.
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
	failure  atomic.Pointer[failure] // of the last attempt that failed
	wellAt   atomic.Int64            // Unix nanoseconds of the last that did not
}

// New returns a policy with a closed breaker.
func New(s Settings) *Policy {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&s.Timeout, time.Second)
	def(&s.FirstWait, 50*time.Millisecond)
	def(&s.MaxWait, time.Second)
	def(&s.OpenFor, 500*time.Millisecond)
	if s.Budget > 0 {
		s.Timeout = min(s.Timeout, s.Budget)
	}
	if s.Failures == 0 {
		s.Failures = 5
	}
	if s.Listener == nil {
		s.Listener = silent{}
	}
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

// Breaker returns the breaker's present state.
func (p *Policy) Breaker() State { return State(p.breaker.State()) }

// failure is an attempt that failed.
type failure struct {
	at  time.Time
	err error
}

// failing says whether the last attempt failed, and not long ago.
func (p *Policy) failing() bool {
	const notLong = 2 * time.Second
	f := p.failure.Load()
	return f != nil && f.at.UnixNano() > p.wellAt.Load() && time.Since(f.at) < notLong
}

func (p *Policy) noteOutcome(class Class, err error) {
	switch now := time.Now(); class {
	case Unavailable:
		p.failure.Store(&failure{now, err})
	case Rejected: // it answered, as it does for success
		p.wellAt.Store(now.UnixNano())
	}
}

// Do makes one call under the policy. call must honour its context and be safe to repeat. The error is nil, an error of
// class [Rejected] as call returned it, the context's error if the caller gave up, or one that wraps [ErrUnavailable]
// and the last attempt's error.
func (p *Policy) Do(ctx context.Context, call func(context.Context) error) error {
	begin := time.Now()
	err := p.attempt(ctx, call) // mostly all there is to it, so what only more attempts need is made when there are some
	if err != nil {
		err = p.again(ctx, begin, err, call)
	}
	return err
}

// again goes on after the first attempt of a call, which failed and began the call's budget.
func (p *Policy) again(caller context.Context, begin time.Time, last error, call func(context.Context) error) error {
	ctx, left := caller, time.Duration(0)
	if p.settings.Budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, begin.Add(p.settings.Budget))
		defer cancel()
		deadline, _ := ctx.Deadline()       // the caller's, if that is earlier
		left = max(time.Until(deadline), 1) // 0 has no end
	}
	attempt := 0
	err := backoff.RetryNotify(func() error {
		if attempt++; attempt > 1 { // the first was made
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
		if !Refused(stop.Err) {
			return stop.Err
		}
		last = stop.Err
	}
	return fmt.Errorf("%s %w: %w", p.settings.Name, ErrUnavailable, last)
}

// once makes one attempt and no more.
func (p *Policy) once(ctx context.Context, call func(context.Context) error) error {
	err := p.attempt(ctx, call)
	if stop, ok := errors.AsType[*backoff.PermanentError](err); ok {
		return stop.Err
	}
	return err
}

// attempt makes the call once, through the breaker and under the time-out. What must not be tried again comes back as
// a backoff.PermanentError.
func (p *Policy) attempt(ctx context.Context, call func(context.Context) error) error {
	before := p.Breaker()
	done, err := p.breaker.Allow()
	if err != nil {
		if p.settings.Budget > 0 {
			return backoff.Permanent(err)
		}
		return err
	}
	attemptCtx, cancel := context.WithTimeout(ctx, p.settings.Timeout)
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
	class := Rejected
	if err != nil {
		class = classify(ctx, err, p.settings.Classify)
	}
	switch {
	case class != Canceled:
		done(class != Unavailable)
	case before != Closed:
		done(false) // the try taught nothing, so the breaker stays open
	}
	p.noteOutcome(class, err)
	p.settings.Listener.Attempt(ctx, p.settings.Name, time.Since(start), err)
	if after := p.Breaker(); after != before {
		p.settings.Listener.BreakerSeen(ctx, p.settings.Name, before, after)
	}
	if err != nil && class != Unavailable {
		return backoff.Permanent(err)
	}
	return err
}

// waits grow by half from FirstWait to MaxWait, each drawn from ±50 % so that callers that failed together do not come
// back together. They end when no more fits into what is left.
func (p *Policy) waits(ctx context.Context, left time.Duration) backoff.BackOff {
	b := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(p.settings.FirstWait),
		backoff.WithMaxInterval(p.settings.MaxWait),
		backoff.WithMaxElapsedTime(left),
	)
	return backoff.WithContext(b, ctx)
}

// Refused says that an open breaker refused the call, so that nothing was asked of the dependency.
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
