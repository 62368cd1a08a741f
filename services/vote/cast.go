package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// publisher adds a vote to a queue. Once it returns the entry, the vote is safe. After an error the vote may be queued.
type publisher interface {
	Publish(ctx context.Context, m votestream.Message) (votestream.Entry, error)
}

// castVote makes a vote and publishes it. The id is key, the caller's idempotency key, so the call may be repeated.
// If key is zero, the id is a new UUIDv7: ids in the order of time keep the database's index small. castVote goes on
// after the voter hangs up: a vote in flight is accepted or refused, not dropped.
func castVote(ctx context.Context, queue publisher, pet ballot.Choice, key uuid.UUID) (
	ballot.Vote, votestream.Entry, error,
) {
	if key == uuid.Nil {
		key = newID()
	}
	vote := ballot.Vote{ID: key, Pet: pet, CastAt: time.Now().UTC()}
	entry, err := queue.Publish(uncancelled{ctx}, votestream.Message{Vote: vote})
	if err != nil {
		return ballot.Vote{}, votestream.Entry{}, fmt.Errorf("cast vote: %w", err)
	}
	return vote, entry, nil
}

// uncancelled is context.WithoutCancel, which allocates with each look at a value.
type uncancelled struct{ context.Context }

func (uncancelled) Deadline() (time.Time, bool) { return time.Time{}, false }
func (uncancelled) Done() <-chan struct{}       { return nil }
func (uncancelled) Err() error                  { return nil }

func init() { uuid.EnableRandPool() } // one system call for many ids, which are no secrets

// newID returns a UUIDv7. Its error is that of crypto/rand, which never fails.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
