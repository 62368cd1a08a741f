package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"petvote/infra/wait"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// fill adds votes to the stream as the vote service does, one trace in a hundred sampled.
func (t *target) fill(ctx context.Context, votes int) error {
	const batch = 1000
	pets := ballot.Choices()
	for done := 0; done < votes; done += batch {
		pipe := t.RDB.Pipeline()
		for i := done; i < min(done+batch, votes); i++ {
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			sampled := 0
			if i%100 == 0 {
				sampled = 1
			}
			pipe.Do(ctx, "xadd", votestream.Stream, "*", "id", id.String(), "vote", string(pets[i%len(pets)]),
				"cast_at", time.Now().UTC().Format(time.RFC3339Nano),
				"traceparent", fmt.Sprintf("00-%032x-%016x-%02x", i+1, i+1, sampled), "tracestate", "")
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("fill the stream: %w", err)
		}
	}
	return nil
}

// empty removes all stored votes, as if none had been cast.
func (t *target) empty(ctx context.Context) error {
	_, err := t.DB.Exec(ctx, `truncate votes, history, duplicates; update tally set votes = 0;
update duplicate_count set n = 0; checkpoint`)
	return err
}

// storeBacklog starts the worker, which must be stopped, and returns how many votes of the stream it stores in a
// second, from the moment when the first are acked.
func (t *target) storeBacklog(ctx context.Context, votes int) (perSecond float64, err error) {
	late := errors.New("the backlog is not stored after 2 minutes")
	watched, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, late)
	defer cancel()
	if err := t.Worker.Start(watched); err != nil {
		return 0, err
	}
	start, left := time.Time{}, int64(votes)
	for {
		n, err := t.RDB.XLen(watched, votestream.Stream).Result()
		if err != nil {
			return 0, err
		}
		now := time.Now()
		if start.IsZero() && n < int64(votes) {
			start, left = now, n
		}
		if n == 0 {
			if left == 0 {
				return 0, errors.New("the backlog is too small to measure")
			}
			return float64(left) / now.Sub(start).Seconds(), t.balanced(ctx, votes)
		}
		if err := wait.For(watched, 2*time.Millisecond); err != nil {
			return 0, err
		}
	}
}
