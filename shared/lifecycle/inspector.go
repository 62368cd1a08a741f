package lifecycle

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Finding is a condition under which a service works, but keeps a promise less well than documented.
type Finding struct {
	Setting string `json:"setting"` // the name of the setting or object at fault, such as "redis appendfsync"
	Problem string `json:"problem"` // what it is and what it weakens, in one sentence
}

// Check returns what is wrong at a dependency. An error means that it could not tell, as while the dependency is down.
type Check func(context.Context) ([]Finding, error)

const (
	inspectEvery   = time.Minute
	inspectAgain   = 2 * time.Second // after a check that could not tell
	inspectTimeout = 2 * time.Second // of one check
)

// Inspector runs checks at the start and every minute and logs findings as they come and go.
type Inspector struct {
	checks []Check

	mu    sync.Mutex
	found [][]Finding // by check
}

// NewInspector returns an inspector without findings; [Inspector.Run] looks for them.
func NewInspector(checks ...Check) *Inspector {
	return &Inspector{checks: checks, found: make([][]Finding, len(checks))}
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

// Findings returns what the latest checks that could tell found.
func (i *Inspector) Findings() []Finding {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Concat(i.found...)
}

func (i *Inspector) note(ctx context.Context, n int, found []Finding) {
	i.mu.Lock()
	before := i.found[n]
	i.found[n] = found
	i.mu.Unlock()
	for _, f := range found {
		if !slices.ContainsFunc(before, f.sameSetting) {
			slog.WarnContext(ctx, "precondition unmet", "setting", f.Setting, "problem", f.Problem)
		}
	}
	for _, f := range before {
		if !slices.ContainsFunc(found, f.sameSetting) {
			slog.InfoContext(ctx, "precondition met", "setting", f.Setting)
		}
	}
}

func (f Finding) sameSetting(other Finding) bool { return f.Setting == other.Setting }

// CheckOf makes a check of that of an adapter, which does not know this package. ready, which may be nil, returns an
// error while it can't tell.
func CheckOf[F ~struct{ Setting, Problem string }](
	ready func() error, inspect func(context.Context) ([]F, error),
) Check {
	return func(ctx context.Context) ([]Finding, error) {
		if ready != nil {
			if err := ready(); err != nil {
				return nil, err
			}
		}
		weak, err := inspect(ctx)
		var found []Finding
		for _, w := range weak {
			found = append(found, Finding(w))
		}
		return found, err
	}
}
