// Package wait has the two waits that the tools and tests need: for a time, and for a condition.
package wait

import (
	"context"
	"fmt"
	"time"
)

// The pause between two checks of a condition is a twentieth of the time waited so far, between these limits. So those
// that take long are checked less often, and their checks take less of the CPU that they wait for.
const (
	shortestPause = 20 * time.Millisecond
	longestPause  = 100 * time.Millisecond
)

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
		if For(bounded, min(max(time.Since(start)/20, shortestPause), longestPause)) != nil {
			return fmt.Errorf("not within %v: %w", time.Since(start).Round(time.Millisecond), last)
		}
	}
}
