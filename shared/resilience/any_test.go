package resilience

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

type calls []func(context.Context) error

// oneOf is an alternative of which call makes the attempts.
type oneOf struct {
	policy *Policy
	call   func(context.Context) error
}

func (o oneOf) Policy() *Policy { return o.policy }

// anyOf calls any of several alternatives with a budget of 2 s, and returns which were tried, and when.
func anyOf(ctx context.Context, l Listener, each ...func(context.Context) error) (
	tried []int, at []time.Duration, err error,
) {
	var all []oneOf
	for i, call := range each {
		all = append(all, oneOf{New(Settings{Name: "queue", Budget: 2 * time.Second, Timeout: 900 * time.Millisecond,
			Permanent: isData, Listener: l}), func(ctx context.Context) error {
			tried = append(tried, i)
			return call(ctx)
		}})
	}
	start := time.Now()
	_, err = Any(ctx, func() []oneOf { return all }, func(o oneOf, within time.Duration) (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		at = append(at, time.Since(start))
		return struct{}{}, o.policy.Once(ctx, o.call)
	})
	return tried, at, err
}

func down(context.Context) error     { return errDown }
func bad(context.Context) error      { return errData }
func hang(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func works(context.Context) error    { return nil }
func downTimes(n int) func(context.Context) error {
	return func(context.Context) error {
		if n--; n >= 0 {
			return errDown
		}
		return nil
	}
}

func TestEachFailedAttemptOfSeveralIsARetryOnce(t *testing.T) {
	for name, c := range map[string]struct {
		calls   calls
		tried   []int
		retries []int
	}{
		"one works":             {calls{works, down}, []int{0}, nil},
		"the second works":      {calls{down, works}, []int{0, 1}, []int{1}},
		"in the third round":    {calls{down, downTimes(2)}, []int{0, 1, 0, 1, 0, 1}, []int{1, 2, 3, 4, 5}},
		"one answers for good":  {calls{bad, downTimes(1)}, []int{0, 1, 0, 1}, []int{1, 2, 3}},
		"all answer for good":   {calls{bad, bad}, []int{0, 1}, []int{1}},
		"alone, the third time": {calls{downTimes(2)}, []int{0, 0, 0}, []int{1, 2}},
	} {
		synctest.Test(t, func(t *testing.T) {
			heard := &recorder{}
			tried, _, err := anyOf(t.Context(), heard, c.calls...)
			if !slices.Equal(tried, c.tried) || !slices.Equal(heard.retried, c.retries) {
				t.Errorf("%s: tried %v, retries %v", name, tried, heard.retried)
			}
			if bad := name == "all answer for good"; bad != errors.Is(err, errData) || bad != errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestOpenBreakersOfSeveralEndTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := &recorder{}
		tried, at, err := anyOf(t.Context(), heard, down, down)
		if !Refused(err) || len(tried) != 10 || heard.retries != 10 || at[len(at)-1] > 2*time.Second {
			t.Errorf("%v, tried %v, %d retries, at %v", err, tried, heard.retries, at)
		}
	})
}

func TestOfManyThatHangOnlyAsManyAreTriedAsFitIntoTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		tried, at, err := anyOf(t.Context(), nil, slices.Repeat(calls{hang}, 16)...)
		want := []time.Duration{0, minShare, 2 * minShare, 3 * minShare}
		if !slices.Equal(at, want) || len(tried) != 4 || !errors.Is(err, context.DeadlineExceeded) ||
			!errors.Is(err, ErrUnavailable) || time.Since(start) != 2*time.Second {
			t.Errorf("%v, tried %v at %v", err, tried, at)
		}
	})
}

func TestACallerThatGivesUpEndsTheCallOfSeveral(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	tried, _, err := anyOf(ctx, nil, func(context.Context) error { cancel(); return errDown }, works)
	if len(tried) != 1 || !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("%v, tried %v", err, tried)
	}
}
