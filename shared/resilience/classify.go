package resilience

import (
	"context"
	"errors"
)

// ErrUnavailable reports that a dependency did not complete a call within the policy's limits.
var ErrUnavailable = errors.New("unavailable")

// class is what an error means to the policy.
type class int

const (
	failed   class = iota // the dependency did not do it: counted, retried
	rejected              // it answered and would answer the same again: neither counted nor retried
	canceled              // the caller gave up: neither counted nor retried
)

// classify recognises a canceled call by the caller's context, because clients wrap the cancellation in errors of their
// own. An attempt's own time-out is the dependency's failure.
func (p *Policy) classify(caller context.Context, err error) class {
	switch {
	case errors.Is(caller.Err(), context.Canceled):
		return canceled
	case errors.Is(err, context.DeadlineExceeded) || p.settings.Permanent == nil || !p.settings.Permanent(err):
		return failed
	}
	return rejected
}
