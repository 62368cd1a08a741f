package lifecycle

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"petvote/shared/config"
)

// Check returns the findings at a dependency. An error means that it could not tell, as while the dependency is down.
type Check func(context.Context) ([]config.Finding, error)

const (
	inspectEvery   = time.Minute
	inspectAgain   = 2 * time.Second // after a check that could not tell
	inspectTimeout = 2 * time.Second // of one check
)

// Inspector runs checks at the start and every minute and logs findings as they come and go.
type Inspector struct {
	checks []Check

	mu    sync.Mutex
	found [][]config.Finding // by check
}

// NewInspector returns an inspector without findings; [Inspector.Run] looks for them.
func NewInspector(checks ...Check) *Inspector {
	return &Inspector{checks: checks, found: make([][]config.Finding, len(checks))}
}

// Run inspects until ctx ends; it always returns nil.
func (i *Inspector) Run(ctx context.Context) error {
	for {
		pause := inspectEvery
		for n, check := range i.checks {
			bound, cancel := context.WithTimeout(ctx, inspectTimeout)
			found, err := check(bound)
			cancel()
			if err != nil {
				pause = inspectAgain
				slog.DebugContext(ctx, "can't check preconditions", "error", err)
				continue
			}
			i.note(ctx, n, found)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// Findings returns the results of the latest checks that could tell.
func (i *Inspector) Findings() []config.Finding {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Concat(i.found...)
}

func (i *Inspector) note(ctx context.Context, n int, found []config.Finding) {
	i.mu.Lock()
	before := i.found[n]
	i.found[n] = found
	i.mu.Unlock()
	for _, f := range found {
		if !slices.ContainsFunc(before, sameSetting(f)) {
			slog.WarnContext(ctx, "precondition unmet", "setting", f.Setting, "problem", f.Problem)
		}
	}
	for _, f := range before {
		if !slices.ContainsFunc(found, sameSetting(f)) {
			slog.InfoContext(ctx, "precondition met", "setting", f.Setting)
		}
	}
}

func sameSetting(f config.Finding) func(config.Finding) bool {
	return func(other config.Finding) bool { return f.Setting == other.Setting }
}

// When returns a check that can't tell until ready returns nil.
func When(ready func() error, check Check) Check {
	return func(ctx context.Context) ([]config.Finding, error) {
		if err := ready(); err != nil {
			return nil, err
		}
		return check(ctx)
	}
}
