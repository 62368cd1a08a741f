package main

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/votestream"
)

// slowAcker takes its time for each dead letter.
type slowAcker struct {
	acker
	each    time.Duration
	dead    map[string]bool
	refuses string // an entry; "" for none
}

func (a slowAcker) DeadLetter(ctx context.Context, failures []votestream.Failure) error {
	for _, f := range failures {
		if pause(ctx, a.each); ctx.Err() != nil {
			return ctx.Err()
		}
		if f.Delivery.EntryID == a.refuses {
			return votestream.ErrForeignKey
		}
		a.dead[f.Delivery.EntryID] = true
	}
	return nil
}

func TestAnyNumberOfDeadLettersFitsIntoTheTimeOuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := slowAcker{each: 20 * time.Millisecond, dead: map[string]bool{}}
		q := resilientQueue{next: slow, policies: newPolicies(nil)}
		failures := make([]votestream.Failure, 2000)
		for i := range failures {
			failures[i].Delivery.EntryID = time.Duration(i).String()
		}
		if err := q.DeadLetter(t.Context(), failures); err != nil || len(slow.dead) != len(failures) {
			t.Errorf("%d of %d moved, %v", len(slow.dead), len(failures), err)
		}
	})
}

func TestDeadLettersThatCannotBeMovedHoldUpNoOthers(t *testing.T) {
	slow := slowAcker{dead: map[string]bool{}, refuses: "0"}
	q := resilientQueue{next: slow, policies: newPolicies(nil)}
	failures := make([]votestream.Failure, 3*deadLettersAtOnce)
	for i := range failures {
		failures[i].Delivery.EntryID = strconv.Itoa(i)
	}
	err := q.DeadLetter(t.Context(), failures)
	if !errors.Is(err, votestream.ErrForeignKey) || len(slow.dead) != 2*deadLettersAtOnce {
		t.Errorf("%d of %d moved, %v", len(slow.dead), len(failures), err)
	}
}
