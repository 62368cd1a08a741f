package votestream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"petvote/infra/testenv"
	"petvote/infra/wait"
	"petvote/shared/ballot"
)

func TestAnEntryOfAnySizeIsDeadLetteredAndBlocksNoOther(t *testing.T) {
	s := newStream(t)
	ctx := t.Context()
	vote := newMessage(ballot.Dogs)
	var wide []any
	for i := range 20_000 {
		wide = append(wide, fmt.Sprint("field", i), i)
	}
	wide = append(wide, vote.encoded()...)
	same := make([]any, 20_000)
	for i := range same {
		same[i] = "id"
	}
	for _, fields := range [][]any{
		wide, same, {"", ""}, {"binary\xff\x00", "\xfe"}, {"big", strings.Repeat("x", 1<<20), "small", 1},
		{"reason", "its own", "error", "its own", "failed_at", "never"}, {"nonsense", "1"},
	} {
		testenv.Must(t, s.rdb.XAdd(ctx, &redis.XAddArgs{Stream: Stream, Values: fields}).Err())
	}
	batch := next(t, s.consumer("a"))
	if len(batch) != 7 || batch[0].Message != vote {
		t.Fatalf("%d entries, the first is %+v", len(batch), batch[0].Message)
	}
	var failures []Failure
	for _, d := range batch {
		failures = append(failures, Failure{d, ReasonUndecodable, errors.New("no vote")})
	}
	// As the worker does, it asks again if Redis takes longer than a reply may.
	testenv.Must(t, wait.Until(ctx, 30*time.Second, func(ctx context.Context) error {
		return s.DeadLetter(ctx, failures)
	}))
	if st := s.stats(t); st.Dead != 7 || st.InFlight+st.Waiting != 0 {
		t.Errorf("stats %+v, want 7 dead letters and nothing else", st)
	}
	s.wantLookup(t, "wide", Entry{}, vote.Vote.ID, Location{Message: vote, Dead: true, Reason: ReasonUndecodable}, nil)
	letters, err := s.ListDeadLetters(ctx, "", 10)
	if err != nil || len(letters) != 7 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	if f := letters[0].Fields; f["fields_dropped"] != "19000" || len(f) != keptFields+5+1 || f["field999"] != "999" {
		t.Errorf("a wide letter keeps %d fields, %q dropped", len(f), f["fields_dropped"])
	}
	if f := letters[3].Fields; f["binary\xff\x00"] != "\xfe" {
		t.Errorf("changed: %q", f)
	}
	if f := letters[4].Fields; len(f) != 2 || f["small"] != "1" || f["fields_dropped"] != "1" {
		t.Errorf("a large letter keeps %d fields, %q dropped", len(f), f["fields_dropped"])
	}
	for _, l := range letters {
		if l.Reason != ReasonUndecodable || l.Error != "no vote" || l.FailedAt.IsZero() {
			t.Errorf("letter %s: %s, %s, %v", l.ID, l.Reason, l.Error, l.FailedAt)
		}
	}
	testenv.Must(t, s.Replay(ctx, letters[0].ID))
	back := next(t, s.consumer("a"))
	fields := s.rdb.XRange(ctx, Stream, "-", "+").Val()[0].Values
	if back[0].Message != vote || len(fields) != keptFields+5 {
		t.Errorf("replayed: %+v with %d fields", back[0].Message, len(fields))
	}
	for _, l := range letters[1:] {
		if err := s.Drop(ctx, l.ID); err != nil {
			t.Errorf("drop %s: %v", l.ID, err)
		}
	}
	if n := s.rdb.Exists(ctx, deadIndexKey).Val(); n != 0 {
		t.Error("the index of dropped letters was kept")
	}
}

// Over a slow line, one that takes too long fails every read that it is part of.
func TestAnEntryThatCannotBeReadInTimeIsDeadLetteredAndBlocksNoOther(t *testing.T) {
	s := newStream(t)
	ctx := t.Context()
	rdb := dialURL(t, s.server.Addr()+"?read_timeout=10ms")
	s.publish(t, 1)
	large := redis.XAddArgs{Stream: Stream, Values: []any{"id", strings.Repeat("x", 64<<20)}}
	testenv.Must(t, s.rdb.WithTimeout(time.Minute).XAdd(ctx, &large).Err())
	s.publish(t, 1)

	c := NewConsumer(rdb, ConsumerOptions{Name: "a", ClaimIdle: time.Hour})
	var batch []Delivery
	testenv.Must(t, wait.Until(ctx, 10*time.Second, func(ctx context.Context) (err error) {
		batch, err = c.Next(ctx, 10, false)
		return err
	}))
	if len(batch) != 3 || batch[0].Err != nil || !errors.Is(batch[1].Err, ErrUndecodable) || batch[2].Err != nil {
		t.Fatalf("delivered: %+v", batch)
	}
	if batch[1].Deliveries < 2 {
		t.Error("the large entry was read at once; the test shows nothing")
	}
	testenv.Must(t, wait.Until(ctx, 10*time.Second, func(ctx context.Context) error {
		return s.DeadLetter(ctx, []Failure{{batch[1], ReasonUndecodable, batch[1].Err}})
	}))
	letters, err := NewQueue(rdb).ListDeadLetters(ctx, "", 10)
	if err != nil || len(letters) != 1 || letters[0].Error != "undecodable entry: 67108866 bytes" {
		t.Errorf("%d letters, %v", len(letters), err)
	}
}

func TestADeadLetterThatFailsBlocksNoOther(t *testing.T) {
	s := newStream(t)
	ctx := t.Context()
	s.publish(t, 2)
	batch := next(t, s.consumer("a"))
	malformed := Delivery{EntryID: "not an entry's ID"}
	err := s.DeadLetter(ctx, []Failure{
		{malformed, ReasonRejected, errors.New("refused")}, {batch[0], ReasonRejected, errors.New("refused")},
		{malformed, ReasonRejected, errors.New("refused")}, {batch[1], ReasonRejected, errors.New("refused")},
	})
	if err == nil || strings.Count(err.Error(), malformed.EntryID) != 2 {
		t.Errorf("error %v, want both that failed", err)
	}
	if st := s.stats(t); st.Dead != 2 || st.InFlight != 0 {
		t.Errorf("stats %+v, want 2 dead letters", st)
	}
	s.wantLookup(t, "nobody's", Entry{}, uuid.New(), Location{}, ErrNotQueued)
}
