// Package target describes a platform that faults can be injected into. Its sub-packages are the two kinds there are.
package target

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"petvote/infra/ledger"
	"petvote/infra/wait"
	"petvote/scripts/chaos/scenario"
)

// Target is a running platform. It injects faults, and it reads the state of Redis and PostgreSQL independently of the
// services.
type Target interface {
	ledger.Store

	Addresses() Addresses
	// Queues is the number of queues.
	Queues() int
	// Can reports whether the target can inject a fault, if it has the part.
	Can(f scenario.Fault) bool
	// Leftovers are the faults that an earlier run has not undone.
	Leftovers() []scenario.Fault
	// Prepare does what a fault needs to exist before, and what no service notices.
	Prepare(ctx context.Context, f scenario.Fault) error
	// Inject injects a fault, and returns when that is done.
	Inject(ctx context.Context, f scenario.Fault) error
	// Undo ends a fault, and returns when the part answers again. It is no error if the fault has ended already.
	Undo(ctx context.Context, f scenario.Fault) error

	// Health is the readiness that a service reports.
	Health(ctx context.Context, service string) (Health, error)
	// Lives identifies each service's processes: the text changes when they are started again.
	Lives(ctx context.Context) (map[string]string, error)
	// Sampling is the interval at which the target can be observed without adding load.
	Sampling() time.Duration
	// Close leaves the platform as it was found.
	Close(ctx context.Context) error
}

// Addresses are those that people open.
type Addresses struct {
	Vote, Result string // http://host:port
	Jaeger       string // of Jaeger's pages; may be empty
}

// Health is a service's answer to /readyz.
type Health struct {
	Status       string `json:"status"`
	Dependencies []struct {
		Name    string    `json:"name"`
		Breaker string    `json:"breaker"`
		ErrorAt time.Time `json:"last_error_at"` // of a call or a ping
	} `json:"dependencies"`
}

// Crawl is the SQL that makes PostgreSQL need some milliseconds for each vote that it stores. It waits for the
// statements that are running, and so does EndCrawl.
func Crawl(ms int) string {
	return fmt.Sprintf(`create or replace function petvote_crawl() returns trigger language plpgsql as
	$$ begin perform pg_sleep(%d / 1000.0); return new; end $$;
create or replace trigger petvote_crawl before insert on votes for each row execute function petvote_crawl()`, ms)
}

// EndCrawl is the SQL that ends a crawl.
const EndCrawl = `drop function if exists petvote_crawl cascade`

// CrashStatus is in the error of a worker that crashed as configured.
const CrashStatus = "exit status 137"

const (
	crashLimit      = 20 * time.Second // for a worker to crash as configured
	crashingWorkers = 3
	lostWorker      = "lost" // its consumer name
)

// Crash runs a worker with further environment until it crashes as configured, or ctx ends.
type Crash func(ctx context.Context, env ...string) error

func (crash Crash) inTime(ctx context.Context, env ...string) error {
	late := fmt.Errorf("a worker did not crash within %v", crashLimit)
	ctx, cancel := context.WithTimeoutCause(ctx, crashLimit, late)
	defer cancel()
	return crash(ctx, env...)
}

// CrashWorkers has workers crash at a point, one after the other, each of which claims what the one before had left.
func CrashWorkers(ctx context.Context, crash Crash, point string) error {
	for range crashingWorkers {
		if err := crash.inTime(ctx, "CRASH_AT="+point, "CRASH_AFTER=3"); err != nil {
			return err
		}
	}
	return nil
}

// ErrNotTakenOver contradicts the hypothesis of the lost worker.
var ErrNotTakenOver = errors.New("no other worker has claimed the votes of the lost one")

// LoseWorker has a second worker die for good with votes in hand, and waits until it is no longer among the consumers
// that have any.
func LoseWorker(ctx context.Context, crash Crash, holders func(context.Context) ([]string, error)) error {
	if err := crash.inTime(ctx, "CONSUMER_NAME="+lostWorker, "CRASH_AT=after-read", "CRASH_AFTER=5"); err != nil {
		return err
	}
	seen := false
	err := wait.Until(ctx, scenario.TakeoverLimit, func(ctx context.Context) error {
		names, err := holders(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, lostWorker+"-") }) {
			seen = true
			return ErrNotTakenOver
		}
		return nil
	})
	if err == nil && !seen {
		return errors.New("the worker to be lost had no votes in hand")
	}
	return err
}
