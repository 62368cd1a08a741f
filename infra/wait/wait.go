// Package wait has the two waits that the tools and tests need: for a time, and for a condition.
package wait

import (
	"context"
	"fmt"
	"time"
)

// pollInterval is the pause between two checks of a condition.
const pollInterval = 20 * time.Millisecond

// For waits for d. It returns the cause if ctx ends first.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Until checks a condition again and again until it answers nil. If it has not within the limit, or when ctx ends, the
// error wraps the condition's last answer.
func Until(ctx context.Context, limit time.Duration, check func(context.Context) error) error {
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		err := check(bounded)
		if err == nil {
			return nil
		}
		if last == nil || bounded.Err() == nil { // once the time is up, a check says only that it was interrupted
			last = err
		}
		if For(bounded, pollInterval) != nil {
			return fmt.Errorf("not within %v: %w", time.Since(start).Round(time.Millisecond), last)
		}
	}
}
