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

func TestDeadLettersFitIntoTheTimeOutsAndARefusedOneHoldsUpOnlyItsChunk(t *testing.T) {
	const all = 40 * deadLettersAtOnce
	for refused, want := range map[string]int{"": all, "0": all - deadLettersAtOnce} {
		synctest.Test(t, func(t *testing.T) {
			slow := slowAcker{each: 20 * time.Millisecond, dead: map[string]bool{}, refuses: refused}
			q := resilientQueue{next: slow, policies: newQueuePolicies("redis", nil)}
			failures := make([]votestream.Failure, all)
			for i := range failures {
				failures[i].Delivery.EntryID = strconv.Itoa(i)
			}
			err := q.DeadLetter(t.Context(), failures)
			if errors.Is(err, votestream.ErrForeignKey) != (refused != "") || len(slow.dead) != want {
				t.Errorf("refusing %q: %d of %d moved, %v", refused, len(slow.dead), all, err)
			}
		})
	}
}
