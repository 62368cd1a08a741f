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

	"petvote/shared/ballot"
	"petvote/shared/tracecontext"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

var (
	errAway   = errors.New("connection refused")
	errRefuse = fmt.Errorf("record votes: %w", &pgconn.PgError{Code: "22021", Message: "invalid byte sequence"})
)

// ledger stands for store and queue, and notes in which order they were asked for what.
type ledger struct {
	calls    []string
	culprits []string // entries whose data the store refuses
	awayFrom int      // the call to Record from which on the store is away; 0: never
	records  int
	settle   error
	bury     error
	count    error
	tries    map[string]int64

	entries []votestore.Entry // stored
	stored  []string
	settled []string
	buried  []votestream.Failure
}

func (l *ledger) note(call string, ids []string) {
	l.calls = append(l.calls, call+" "+strings.Join(ids, " "))
}

func (l *ledger) Record(_ context.Context, entries []votestore.Entry) (votestore.Outcome, error) {
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.EntryID)
	}
	l.note("record", ids)
	if l.records++; l.awayFrom > 0 && l.records >= l.awayFrom {
		return votestore.Outcome{}, errAway
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
	l.note("settle", ids)
	if l.settle == nil {
		l.settled = append(l.settled, ids...)
	}
	return l.settle
}

func (l *ledger) DeadLetter(_ context.Context, failures []votestream.Failure) error {
	var ids []string
	for _, b := range failures {
		ids = append(ids, b.Delivery.EntryID)
	}
	l.note("bury", ids)
	if l.bury == nil {
		l.buried = append(l.buried, failures...)
	}
	return l.bury
}

func (l *ledger) CountRetry(_ context.Context, id string) (int64, error) {
	l.note("try", []string{id})
	if l.tries == nil {
		l.tries = map[string]int64{}
	}
	l.tries[id]++
	return l.tries[id], l.count
}

const maxTries = 5

func (l *ledger) process(t *testing.T, batch []votestream.Delivery) error {
	t.Helper()
	p := processor{store: l, queue: l, maxTries: maxTries}
	return p.Process(t.Context(), batch)
}

// batch is one delivery for each entry id, each a valid vote handed out for the first time.
func batch(ids ...string) []votestream.Delivery {
	deliveries := make([]votestream.Delivery, len(ids))
	for i, id := range ids {
		deliveries[i] = votestream.Delivery{EntryID: id, Deliveries: 1, Message: votestream.Message{
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

func TestNothingIsSettledBeforeItIsRecorded(t *testing.T) {
	l := &ledger{}
	votes := batch("1", "2", "3")
	if err := l.process(t, votes); err != nil {
		t.Fatal(err)
	}
	l.wantCalls(t, "record 1 2 3", "settle 1 2 3")
	for i, e := range l.entries {
		if e.Vote != votes[i].Message.Vote || e.Trace != votes[i].Message.Trace || e.EntryID != votes[i].EntryID {
			t.Errorf("stored %+v of %+v", e, votes[i])
		}
	}
}

func TestWhatCanNotBeRecordedStaysPendingWithAllThatCameWithIt(t *testing.T) {
	l := &ledger{awayFrom: 1}
	votes := batch("1", "2")
	votes[0].Err = votestream.ErrUndecodable
	if err := l.process(t, votes); !errors.Is(err, errAway) {
		t.Errorf("err = %v", err)
	}
	l.wantCalls(t, "record 2")
}

func TestHalvesAreTriedUntilTheCulpritIsAlone(t *testing.T) {
	l := &ledger{culprits: []string{"3"}}
	if err := l.process(t, batch("1", "2", "3", "4", "5", "6", "7", "8")); err != nil {
		t.Fatal(err)
	}
	l.wantCalls(t, "record 1 2 3 4 5 6 7 8", "record 1 2 3 4", "record 1 2", "record 3 4", "record 3", "record 4", "record 5 6 7 8",
		"settle 1 2 4 5 6 7 8", "bury 3")
	if b := l.buried[0]; b.Reason != votestream.ReasonRejected || !errors.Is(b.Err, errRefuse) {
		t.Errorf("buried for %s: %v", b.Reason, b.Err)
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
		if err := l.process(t, batch(all...)); err != nil {
			t.Fatal(err)
		}
		var buried []string
		for _, b := range l.buried {
			buried = append(buried, b.Delivery.EntryID)
		}
		if !slices.Equal(l.stored, rest) || !slices.Equal(l.settled, rest) || !slices.Equal(buried, culprits) {
			t.Errorf("culprits %v: stored %v, settled %v, buried %v", culprits, l.stored, l.settled, buried)
		}
	}
}

func TestAStoreThatGoesAwayInTheMiddleOfTheSearchLeavesTheWholeBatchPending(t *testing.T) {
	for away := 2; away <= 5; away++ {
		l := &ledger{culprits: []string{"1"}, awayFrom: away}
		if err := l.process(t, batch("1", "2", "3", "4")); !errors.Is(err, errAway) {
			t.Errorf("away from call %d on: err = %v", away, err)
		}
		if len(l.settled)+len(l.buried) > 0 {
			t.Errorf("away from call %d on: settled %v, buried %v", away, l.settled, l.buried)
		}
	}
}

func TestABurialThatFailsUndoesNothing(t *testing.T) {
	l := &ledger{culprits: []string{"2"}, bury: errAway}
	if err := l.process(t, batch("1", "2", "3")); err != nil {
		t.Errorf("err = %v: the dead letter is found again as pending, and the rest is done", err)
	}
	if !slices.Equal(l.settled, []string{"1", "3"}) {
		t.Errorf("settled %v", l.settled)
	}
}

func TestASettlementThatFailsIsToldAndNothingIsBuried(t *testing.T) {
	l := &ledger{culprits: []string{"2"}, settle: errAway}
	if err := l.process(t, batch("1", "2")); !errors.Is(err, errAway) {
		t.Errorf("err = %v", err)
	}
	if len(l.buried) > 0 {
		t.Errorf("buried %v", l.buried)
	}
}

func TestUnfitEntriesAreBuriedWithTheirReasonAndNeverTried(t *testing.T) {
	undecodable := fmt.Errorf("%w: field id: invalid UUID length: 1", votestream.ErrUndecodable)
	for name, c := range map[string]struct {
		spoil  func(*votestream.Delivery)
		reason votestream.Reason
		err    error
		text   string
	}{
		"not a vote":        {func(d *votestream.Delivery) { d.Err = undecodable }, votestream.ReasonUndecodable, undecodable, ""},
		"unknown pet":       {func(d *votestream.Delivery) { d.Message.Vote.Pet = "birds" }, votestream.ReasonInvalid, ballot.ErrUnknownChoice, ""},
		"no id":             {func(d *votestream.Delivery) { d.Message.Vote.ID = uuid.Nil }, votestream.ReasonInvalid, ballot.ErrInvalidVote, "no id"},
		"cast at no time":   {func(d *votestream.Delivery) { d.Message.Vote.CastAt = time.Time{} }, votestream.ReasonInvalid, ballot.ErrInvalidVote, ""},
		"bad and too often": {func(d *votestream.Delivery) { d.Err, d.Deliveries = undecodable, 99 }, votestream.ReasonUndecodable, undecodable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := &ledger{}
			votes := batch("1", "2")
			c.spoil(&votes[0])
			if err := l.process(t, votes); err != nil {
				t.Fatal(err)
			}
			l.wantCalls(t, "record 2", "settle 2", "bury 1")
			if b := l.buried[0]; b.Reason != c.reason || c.err != nil && !errors.Is(b.Err, c.err) || !strings.Contains(b.Err.Error(), c.text) {
				t.Errorf("buried for %s: %v", b.Reason, b.Err)
			}
		})
	}
}

// What kills its worker is found by being tried alone, and however often the others were handed out with it they are not
// taken for it.
func TestOnlyASuspectThatWasTriedAloneAgainAndAgainIsGivenUp(t *testing.T) {
	l := &ledger{tries: map[string]int64{"1": maxTries}}
	votes := batch("1", "2", "3")
	for i := range votes {
		votes[i].Deliveries = 99
	}
	for _, part := range parts(votes) {
		if err := l.process(t, part); err != nil {
			t.Fatal(err)
		}
	}
	l.wantCalls(t, "try 1", "bury 1", "try 2", "record 2", "settle 2", "try 3", "record 3", "settle 3")
	if b := l.buried[0]; b.Reason != votestream.ReasonDeliveries || !strings.Contains(b.Err.Error(), "tried alone 5 times") {
		t.Errorf("buried for %s: %v", b.Reason, b.Err)
	}
}

func TestASuspectIsTriedThoughItCannotBeCounted(t *testing.T) {
	l := &ledger{count: errAway}
	votes := batch("1")
	votes[0].Deliveries = 99
	if err := l.process(t, votes); err != nil {
		t.Fatal(err)
	}
	l.wantCalls(t, "try 1", "record 1", "settle 1")
}

func TestABatchWithNothingToStoreDoesNotAskTheStore(t *testing.T) {
	l := &ledger{awayFrom: 1}
	votes := batch("1")
	votes[0].Err = votestream.ErrUndecodable
	if err := errors.Join(l.process(t, votes), l.process(t, nil)); err != nil {
		t.Error(err)
	}
	l.wantCalls(t, "bury 1")
}
