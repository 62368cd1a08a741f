package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
	"petvote/shared/tracecontext"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

var (
	errDown   = errors.New("connection refused")
	errRefuse = fmt.Errorf("record votes: %w", &pgconn.PgError{Code: "22021", Message: "invalid byte sequence"})
)

// ledger fakes the store and the queue, and notes the calls in order.
type ledger struct {
	calls         []string
	culprits      []string // entries whose data the store refuses
	downFrom      int      // the call to Record from which on the store is down; 0: never
	records       int
	ackErr        error
	deadLetterErr error
	countErr      error
	retries       map[string]int64

	entries []votestore.Entry // stored
	stored  []string
	acked   []string
	dead    []votestream.Failure
}

func (l *ledger) note(call string, ids []string) {
	l.calls = append(l.calls, call+" "+strings.Join(ids, " "))
}

func (l *ledger) Record(_ context.Context, entries []votestore.Entry) (votestore.Outcome, error) {
	var ids []string
	for _, e := range entries {
		ids = append(ids, votestream.EntryFromBytes(e.Source).ID)
	}
	l.note("record", ids)
	if l.records++; l.downFrom > 0 && l.records >= l.downFrom {
		return votestore.Outcome{}, errDown
	}
	for _, id := range ids {
		if slices.Contains(l.culprits, id) {
			return votestore.Outcome{}, errRefuse
		}
	}
	l.entries, l.stored = append(l.entries, entries...), append(l.stored, ids...)
	return votestore.Outcome{Stored: len(ids)}, nil
}

func (l *ledger) Ack(_ context.Context, ids []string) error {
	l.note("ack", ids)
	if l.ackErr == nil {
		l.acked = append(l.acked, ids...)
	}
	return l.ackErr
}

func (l *ledger) DeadLetter(_ context.Context, failures []votestream.Failure) error {
	var ids []string
	for _, f := range failures {
		ids = append(ids, f.Delivery.EntryID)
	}
	l.note("dead-letter", ids)
	if l.deadLetterErr == nil {
		l.dead = append(l.dead, failures...)
	}
	return l.deadLetterErr
}

func (l *ledger) CountRetry(_ context.Context, id string) (int64, error) {
	l.note("retry", []string{id})
	if l.retries == nil {
		l.retries = map[string]int64{}
	}
	l.retries[id]++
	return l.retries[id], l.countErr
}

func (l *ledger) ForgetRetries(_ context.Context, id string) error {
	l.note("forget", []string{id})
	l.retries[id] = 0
	return nil
}

const maxRetries = 5

func (l *ledger) process(t *testing.T, batch []votestream.Delivery) error {
	t.Helper()
	p := processor{store: l, queue: l, maxRetries: maxRetries}
	return p.Process(t.Context(), batch)
}

// batch returns a first delivery of a valid vote for each entry id.
func batch(ids ...string) []votestream.Delivery {
	deliveries := make([]votestream.Delivery, len(ids))
	for i, id := range ids {
		deliveries[i] = votestream.Delivery{Queue: "1", EntryID: id, Deliveries: 1, Message: votestream.Message{
			Vote:  ballot.Vote{ID: uuid.New(), Pet: ballot.Dogs, CastAt: time.Now().UTC()},
			Trace: tracecontext.TraceContext{Parent: "trace of " + id},
		}}
	}
	return deliveries
}

func (l *ledger) wantCalls(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(l.calls, want) {
		t.Errorf("calls\n%s\nwant\n%s", strings.Join(l.calls, "\n"), strings.Join(want, "\n"))
	}
}

func TestARecordedEntryIsTheDeliveredOne(t *testing.T) {
	l := &ledger{}
	votes := batch("1", "2", "3")
	testenv.Must(t, l.process(t, votes))
	for i, e := range l.entries {
		if e.Vote != votes[i].Message.Vote || e.Trace != votes[i].Message.Trace ||
			votestream.EntryFromBytes(e.Source) != votes[i].Entry() {
			t.Errorf("stored %+v of %+v", e, votes[i])
		}
	}
}

func TestEntriesLeaveTheStreamOnlyOnceTheirEffectIsDurable(t *testing.T) {
	undecodable := batch("1")[0]
	undecodable.Err = votestream.ErrUndecodable
	for name, c := range map[string]struct {
		ledger ledger
		batch  []votestream.Delivery
		err    error
		calls  []string
	}{
		"nothing is acked before it is recorded": {ledger{}, batch("1", "2"), nil, []string{"record 1 2", "ack 1 2"}},
		"the store is down: all stays pending": {
			ledger{downFrom: 1}, append(batch("2"), undecodable), errDown, []string{"record 2"}},
		"the store has nothing to do": {
			ledger{downFrom: 1}, []votestream.Delivery{undecodable}, nil, []string{"dead-letter 1"}},
		"the batch is empty": {ledger{downFrom: 1}, nil, nil, nil},
		"the ack fails: nothing is dead-lettered": {ledger{culprits: []string{"2"}, ackErr: errDown},
			batch("1", "2"), errDown, []string{"record 1 2", "record 1", "record 2", "ack 1"}},
		"the dead-lettering fails: the rest is done": {ledger{culprits: []string{"2"}, deadLetterErr: errDown},
			batch("1", "2"), nil, []string{"record 1 2", "record 1", "record 2", "ack 1", "dead-letter 2"}},
		"a retry is not counted: it is made": {ledger{countErr: errDown}, []votestream.Delivery{often("1")}, nil,
			[]string{"retry 1", "record 1", "ack 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.ledger.process(t, c.batch); !errors.Is(err, c.err) {
				t.Errorf("err = %v, want %v", err, c.err)
			}
			c.ledger.wantCalls(t, c.calls...)
		})
	}
}

func TestABatchIsBisectedUntilTheCulpritIsFound(t *testing.T) {
	l := &ledger{culprits: []string{"3"}}
	testenv.Must(t, l.process(t, batch("1", "2", "3", "4", "5", "6", "7", "8")))
	l.wantCalls(t, "record 1 2 3 4 5 6 7 8", "record 1 2 3 4", "record 1 2", "record 3 4", "record 3", "record 4",
		"record 5 6 7 8", "ack 1 2 4 5 6 7 8", "dead-letter 3")
	if f := l.dead[0]; f.Reason != votestream.ReasonRejected || !errors.Is(f.Err, errRefuse) {
		t.Errorf("dead-lettered for %s: %v", f.Reason, f.Err)
	}
}

func TestEveryCulpritIsFoundWhereverItIs(t *testing.T) {
	const size = 6
	for set := range 1 << size {
		var all, culprits, rest []string
		for i := range size {
			id := fmt.Sprint(i)
			all = append(all, id)
			if set&(1<<i) != 0 {
				culprits = append(culprits, id)
			} else {
				rest = append(rest, id)
			}
		}
		l := &ledger{culprits: culprits}
		testenv.Must(t, l.process(t, batch(all...)))
		var dead []string
		for _, f := range l.dead {
			dead = append(dead, f.Delivery.EntryID)
		}
		if !slices.Equal(l.stored, rest) || !slices.Equal(l.acked, rest) || !slices.Equal(dead, culprits) {
			t.Errorf("culprits %v: stored %v, acked %v, dead-lettered %v", culprits, l.stored, l.acked, dead)
		}
	}
}

func TestAStoreThatFailsDuringTheSearchLeavesTheWholeBatchPending(t *testing.T) {
	for down := 2; down <= 5; down++ {
		l := &ledger{culprits: []string{"1"}, downFrom: down}
		if err := l.process(t, batch("1", "2", "3", "4")); !errors.Is(err, errDown) {
			t.Errorf("down from call %d on: err = %v", down, err)
		}
		if len(l.acked)+len(l.dead) > 0 {
			t.Errorf("down from call %d on: acked %v, dead-lettered %v", down, l.acked, l.dead)
		}
	}
}

func TestInvalidEntriesAreDeadLetteredWithTheirReasonAndNotRecorded(t *testing.T) {
	undecodable := fmt.Errorf("%w: field id: invalid UUID length: 1", votestream.ErrUndecodable)
	for name, c := range map[string]struct {
		spoil  func(d *votestream.Delivery, v *ballot.Vote)
		reason votestream.Reason
		err    error
	}{
		"undecodable": {func(d *votestream.Delivery, _ *ballot.Vote) { d.Err = undecodable }, "undecodable", undecodable},
		"quarantined": {func(d *votestream.Delivery, _ *ballot.Vote) { d.Err, d.Deliveries = undecodable, 99 },
			"undecodable", undecodable},
		"unknown pet": {func(_ *votestream.Delivery, v *ballot.Vote) { v.Pet = "birds" }, "invalid", ballot.ErrUnknownChoice},
		"no id":       {func(_ *votestream.Delivery, v *ballot.Vote) { v.ID = uuid.Nil }, "invalid", ballot.ErrInvalidVote},
	} {
		l := &ledger{}
		votes := batch("1", "2")
		c.spoil(&votes[0], &votes[0].Message.Vote)
		testenv.Must(t, l.process(t, votes))
		l.wantCalls(t, "record 2", "ack 2", "dead-letter 1")
		if f := l.dead[0]; f.Reason != c.reason || !errors.Is(f.Err, c.err) {
			t.Errorf("%s: dead-lettered for %s: %v", name, f.Reason, f.Err)
		}
	}
}

// A slow or unavailable database is no reason to dead-letter a vote: an entry whose retry returns has not killed the
// worker.
func TestIsolatedRetriesThatComeBackDoNotAddUp(t *testing.T) {
	l := &ledger{downFrom: 1}
	for range 3 * maxRetries {
		if err := l.process(t, []votestream.Delivery{often("1")}); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
	}
	if l.retries["1"] != 0 || len(l.dead) > 0 {
		t.Errorf("%d retries counted, %d dead letters", l.retries["1"], len(l.dead))
	}
	l.wantCalls(t, slices.Repeat([]string{"retry 1", "record 1", "forget 1"}, 3*maxRetries)...)
}

// An entry that kills its worker is identified by its isolated retries. Entries that were often delivered together with
// it are innocent.
func TestOnlyAnEntryWithTooManyIsolatedRetriesIsDeadLettered(t *testing.T) {
	l := &ledger{retries: map[string]int64{"1": maxRetries}}
	votes := batch("1", "2", "3")
	for i := range votes {
		votes[i].Deliveries = 99
	}
	for _, part := range split(votes) {
		testenv.Must(t, l.process(t, part))
	}
	l.wantCalls(t, "retry 1", "dead-letter 1", "retry 2", "record 2", "ack 2", "retry 3", "record 3", "ack 3")
	f := l.dead[0]
	if f.Reason != votestream.ReasonDeliveries || !strings.Contains(f.Err.Error(), "retried alone 5 times") {
		t.Errorf("dead-lettered for %s: %v", f.Reason, f.Err)
	}
}
