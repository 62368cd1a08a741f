package resilience

import (
	"context"
	"errors"
)

// ErrUnavailable says that a dependency did not do what was asked within the policy's limits.
var ErrUnavailable = errors.New("unavailable")

// Class says what an error means for the policy.
type Class int

// The classes. The zero value is the safe one: an error nobody knows is the dependency's.
const (
	Unavailable Class = iota // the dependency did not do it: count it, try again
	Rejected                 // the dependency answered with an error that would come again: return it
	Canceled                 // the caller gave up: return it
)

// Classifier sorts the errors of one dependency. It is never called with nil.
type Classifier func(error) Class

// classify puts what every dependency has in common before its own classifier. A caller that gave up is seen by its
// context, since clients dress that up in errors of their own; an attempt's own time-out is the dependency's failure.
func classify(caller context.Context, err error, own Classifier) Class {
	if errors.Is(caller.Err(), context.Canceled) {
		return Canceled
	}
	if own == nil || errors.Is(err, context.DeadlineExceeded) {
		return Unavailable
	}
	return own(err)
}
