package main

import (
	"context"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
)

// target is a running platform with hands to break it and eyes of its own: what it tells of Redis and PostgreSQL comes from
// them, not from the services.
type target interface {
	addresses() addresses
	// can says whether the target knows how to do a fault.
	can(f fault) bool
	// prepare adds to a fault what its undoing will have to know.
	prepare(ctx context.Context, f fault) (fault, error)
	// inflict does a fault, and returns when it is done, or on its way.
	inflict(ctx context.Context, f fault) error
	// heal undoes a fault, and returns when the part answers again. Undoing what was never done, or undone already, is no error.
	heal(ctx context.Context, f fault) error

	// standings are the books as Redis and PostgreSQL have them now.
	standings(ctx context.Context) (standings, error)
	// storedSince are the votes that were cast since then and are stored.
	storedSince(ctx context.Context, since time.Time) (map[uuid.UUID]ballot.Choice, error)
	// queued is how many entries are in the stream.
	queued(ctx context.Context) (int64, error)
	// stored is the sum of the tally.
	stored(ctx context.Context) (int64, error)
	// health is what a service says of itself.
	health(ctx context.Context, service string) (health, error)
	// lives tell each service's present life from one before: they change when it is started again.
	lives(ctx context.Context) (map[string]string, error)
	// sampled is how often health and standings can be asked for without being a load themselves.
	sampled() time.Duration
	// close leaves the platform as it was found.
	close(ctx context.Context) error
}

type addresses struct {
	vote, result string // http://host:port
	jaeger       string // of Jaeger's pages; empty: none is known
}

// standings are counts that only grow, but for waiting.
type standings struct {
	rows, tally              ballot.Counts // PostgreSQL
	duplicates               int64
	added, waiting, deadEver int64 // Redis
}

// health is a service's readiness in full.
type health struct {
	Status       string `json:"status"`
	Dependencies []struct {
		Name    string `json:"name"`
		Up      bool   `json:"up"`
		Breaker string `json:"breaker"`
	} `json:"dependencies"`
}
