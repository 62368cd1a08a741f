package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// queue is a publisher that keeps what it is given.
type queue struct {
	messages []votestream.Message
	publish  func(context.Context) error // nil: it takes everything
}

var testEntry = votestream.Entry{Queue: "0", ID: "1767323045001-0"}

func (q *queue) Publish(ctx context.Context, m votestream.Message) (votestream.Entry, error) {
	if q.publish != nil {
		if err := q.publish(ctx); err != nil {
			return votestream.Entry{}, err
		}
	}
	q.messages = append(q.messages, m)
	return testEntry, nil
}

func TestAVoteIsPublishedAsItIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		vote, entry, err := castVote(t.Context(), q, ballot.Lizards, uuid.Nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(q.messages) != 1 || q.messages[0].Vote != vote || entry != testEntry {
			t.Errorf("published %+v of %+v as %v", q.messages, vote, entry)
		}
		if err := vote.Validate(); err != nil || vote.Pet != ballot.Lizards || vote.CastAt != time.Now().UTC() {
			t.Errorf("vote %+v, %v", vote, err)
		}
	})
}

func TestIDsAreUUIDv7InTheOrderOfCasting(t *testing.T) {
	q := &queue{}
	var last uuid.UUID
	for i := range 1000 {
		vote, _, err := castVote(t.Context(), q, ballot.Dogs, uuid.Nil)
		if err != nil {
			t.Fatal(err)
		}
		if vote.ID.Version() != 7 || bytes.Compare(vote.ID[:], last[:]) <= 0 {
			t.Fatalf("vote %d has id %v (version %d) after %v", i, vote.ID, vote.ID.Version(), last)
		}
		last = vote.ID
	}
}

func TestAVoteThatIsNotPublishedIsNotReturned(t *testing.T) {
	full := errors.New("OOM command not allowed")
	q := &queue{publish: func(context.Context) error { return full }}
	vote, _, err := castVote(t.Context(), q, ballot.Dogs, uuid.New())
	if !errors.Is(err, full) || !strings.HasPrefix(err.Error(), "cast vote: ") || vote != (ballot.Vote{}) {
		t.Errorf("vote %+v, err = %v", vote, err)
	}
}
