package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// publisher adds a vote to the queue. After nil the vote is safe; after an error it may be in the queue nevertheless.
type publisher interface {
	Publish(ctx context.Context, m votestream.Message) error
}

// castVote makes a vote and publishes it. key, unless zero, is the caller's idempotency key and becomes the vote's id,
// so that the call may be repeated. Otherwise the id is a new UUIDv7: ids in the order of time keep the database's
// index small.
func castVote(ctx context.Context, queue publisher, pet ballot.Choice, key uuid.UUID) (ballot.Vote, error) {
	if key == uuid.Nil {
		key = newID()
	}
	vote := ballot.Vote{ID: key, Pet: pet, CastAt: time.Now().UTC()}
	if err := queue.Publish(ctx, votestream.Message{Vote: vote}); err != nil {
		return ballot.Vote{}, fmt.Errorf("cast vote: %w", err)
	}
	return vote, nil
}

// newID returns a UUIDv7. Its error is that of crypto/rand, which never fails.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
