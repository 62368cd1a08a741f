package resilience

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Alternative is one of several dependencies of which any can make a call.
type Alternative interface {
	Policy() *Policy // of its attempts
}

// minShare is the least time for an attempt, unless less is left. With less, a pause of a disk that several
// alternatives share would send the call to one after the other, and it would take effect in each.
const minShare = 500 * time.Millisecond

// Any makes a call by the first of several alternatives that completes it. It tries each once, in the order given. If
// none has completed the call, it waits and starts over, within the budget of the first one's policy, unless all have
// answered with permanent errors or an open breaker.
//
// call makes one attempt under [Policy.Once] and within the time given, an equal share of what is left of the budget.
// The error is the context's if the caller gave up. Else it wraps [ErrUnavailable] and an error of the last round: the
// first that a retry might mend, else the first permanent one, else that of an open breaker.
func Any[A Alternative, T any](
	ctx context.Context, order func() []A, call func(a A, within time.Duration) (T, error),
) (T, error) {
	all := order()
	end := time.Now().Add(all[0].Policy().settings.Budget)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		end = deadline
	}
	var waits backoff.BackOff // built only when needed: most calls succeed at once
	for attempts := 0; ; all = order() {
		var last, worst failedAttempt
		for i, a := range all {
			left := time.Until(end)
			if i > 0 && (left <= 0 || ctx.Err() != nil) {
				break
			}
			last.noteRetry(ctx, attempts, 0)
			result, err := call(a, min(left, max(left/time.Duration(len(all)-i), minShare)))
			if err == nil {
				return result, nil
			}
			if last = (failedAttempt{a.Policy(), err}); !Refused(err) {
				attempts++
			}
			if last.hope(ctx) > worst.hope(ctx) {
				worst = last
			}
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return *new(T), fmt.Errorf("%s: %w", worst.policy.Name(), ctx.Err())
		}
		if waits == nil {
			waits = worst.policy.waits(ctx, max(time.Until(end), 1)) // 0 would mean no limit
		}
		wait := waits.NextBackOff()
		if wait == backoff.Stop || worst.hope(ctx) < mayPass {
			return *new(T), worst.policy.unavailable(worst.err)
		}
		last.noteRetry(ctx, attempts, wait)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// failedAttempt is the outcome of an attempt at an alternative; the zero value that of none.
type failedAttempt struct {
	policy *Policy
	err    error
}

// noteRetry tells the listener that another attempt follows, unless this one never reached its dependency.
func (f failedAttempt) noteRetry(ctx context.Context, attempt int, wait time.Duration) {
	if f.err != nil && !Refused(f.err) {
		f.policy.settings.Listener.Retry(ctx, f.policy.Name(), attempt, f.err, wait)
	}
}

// hope is what a retry after the attempt promises: 0 without an attempt, then that of an open breaker, of a permanent
// error, and of one that may pass.
func (f failedAttempt) hope(ctx context.Context) int {
	switch {
	case f.err == nil:
		return 0
	case Refused(f.err):
		return 1
	case f.policy.classify(ctx, f.err) != failed:
		return 2
	}
	return mayPass
}

const mayPass = 3
