package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// publisher hands a vote to the queue. After nil the vote is safe; after an error it may be there nevertheless.
type publisher interface {
	Publish(ctx context.Context, m votestream.Message) error
}

// castVote makes a vote and hands it to the queue. key, if it is not zero, is the caller's and becomes the vote's id,
// which is what makes repeating the call harmless; otherwise the id is a new UUIDv7, whose order in time keeps the
// database's index small.
func castVote(ctx context.Context, queue publisher, pet ballot.Choice, key uuid.UUID) (ballot.Vote, error) {
	if key == uuid.Nil {
		id, err := uuid.NewV7()
		if err != nil {
			return ballot.Vote{}, fmt.Errorf("make vote id: %w", err)
		}
		key = id
	}
	vote := ballot.Vote{ID: key, Pet: pet, CastAt: time.Now().UTC()}
	if err := queue.Publish(ctx, votestream.Message{Vote: vote}); err != nil {
		return ballot.Vote{}, fmt.Errorf("cast vote: %w", err)
	}
	return vote, nil
}
