package votestream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"petvote/shared/ballot"
)

// cast is when the votes of the tests with a small reach were cast.
var cast = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// v7 returns an id made at that time.
func v7(at time.Time) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(id[:6], ms[2:])
	return id
}

// queue adds votes to the stream at that time.
func (s *stream) queue(t *testing.T, at time.Time, votes ...uuid.UUID) {
	t.Helper()
	for some := range slices.Chunk(votes, 1000) { // more at once may exceed the client's time-outs
		_, err := s.rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for _, id := range some {
				m := newMessage(ballot.Dogs)
				m.Vote.ID = id
				entryID := fmt.Sprintf("%d-*", at.UnixMilli())
				p.XAdd(t.Context(), &redis.XAddArgs{Stream: Stream, ID: entryID, Values: m.encode()})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// others returns ids of votes that nobody looks for.
func others(n int) []uuid.UUID {
	votes := make([]uuid.UUID, n)
	for i := range votes {
		votes[i] = uuid.New()
	}
	return votes
}

// deadLetter dead-letters the next batch.
func (s *stream) deadLetter(t *testing.T, reason Reason) {
	t.Helper()
	var failures []Failure
	for _, d := range next(t, s.consumer("a")) {
		failures = append(failures, Failure{d, reason, errors.New("refused")})
	}
	if err := s.DeadLetter(t.Context(), failures); err != nil {
		t.Fatal(err)
	}
}

func TestAVoteIsFoundWhileItWaitsAndWhileItIsInFlight(t *testing.T) {
	s := newStream(t)
	sent := s.publish(t, 3)
	random := newMessage(ballot.Cats)
	random.Vote.ID = uuid.New()
	if err := s.producer.Publish(t.Context(), random); err != nil {
		t.Fatal(err)
	}
	find := func(when string) {
		for _, m := range append(sent, random) {
			found, err := s.Find(t.Context(), m.Vote.ID)
			queued := EntryTime(found.EntryID)
			if err != nil || found.Message != m || found.Dead || time.Since(queued).Abs() > time.Minute {
				t.Errorf("%s: %+v, %v, want %+v", when, found, err, m)
			}
		}
	}
	find("waiting")
	batch := next(t, s.consumer("a"))
	find("in flight")
	if err := s.Ack(t.Context(), ids(batch)); err != nil {
		t.Fatal(err)
	}
	first, last := v7(time.UnixMilli(0)), v7(time.UnixMilli(1<<48-1))
	for _, id := range []uuid.UUID{sent[0].Vote.ID, random.Vote.ID, uuid.New(), first, last} {
		if found, err := s.Find(t.Context(), id); !errors.Is(err, ErrNotQueued) || found != (Location{}) {
			t.Errorf("acknowledged or never cast: %+v, %v", found, err)
		}
	}
}

func TestADeadLetteredVoteIsFoundWithItsReason(t *testing.T) {
	s := newStream(t)
	sent := s.publish(t, 1)
	s.deadLetter(t, ReasonRejected)
	found, err := s.Find(t.Context(), sent[0].Vote.ID)
	if err != nil || found.Message != sent[0] || !found.Dead || found.Reason != ReasonRejected {
		t.Errorf("%+v, %v", found, err)
	}
	broken := uuid.New()
	entry := &redis.XAddArgs{Stream: Stream, Values: []any{"id", broken.String()}}
	if err := s.rdb.XAdd(t.Context(), entry).Err(); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Find(t.Context(), broken); err != nil || found.Dead || found.Message != (Message{}) {
		t.Errorf("an entry with an id and no vote: %+v, %v", found, err)
	}
	s.deadLetter(t, ReasonUndecodable)
	found, err = s.Find(t.Context(), broken)
	if err != nil || found.Reason != ReasonUndecodable || found.Message != (Message{}) {
		t.Errorf("dead-lettered: %+v, %v", found, err)
	}
	letters, err := s.ListDeadLetters(t.Context(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replay(t.Context(), letters[0].ID); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Find(t.Context(), sent[0].Vote.ID); err != nil || found.Dead {
		t.Errorf("replayed: %+v, %v", found, err)
	}
}

func TestAVoteDeepInTheQueueIsFoundByTheTimeInItsID(t *testing.T) {
	s := newStream(t)
	small := reach{page: 2, around: 20, newest: 5, dead: 5}
	apart := func(d time.Duration) uuid.UUID { return v7(cast.Add(-d)) } // of an id and its entry at the time cast
	found := []uuid.UUID{apart(-5 * time.Second), apart(-time.Second), apart(0), apart(time.Second), apart(time.Minute)}
	missed := []uuid.UUID{apart(-5001 * time.Millisecond), apart(time.Minute + time.Millisecond), uuid.New()}
	s.queue(t, cast.Add(-time.Hour), others(20)...)
	s.queue(t, cast, append(found, missed...)...)
	s.queue(t, cast.Add(time.Hour), others(20)...)
	for i, id := range found {
		l, err := s.find(t.Context(), id, small)
		if err != nil || l.Message.Vote.ID != id || !EntryTime(l.EntryID).Equal(cast) {
			t.Errorf("vote %d: %+v, %v", i, l, err)
		}
	}
	for i, id := range missed {
		if found, err := s.find(t.Context(), id, small); !errors.Is(err, ErrSearchLimit) {
			t.Errorf("vote %d, of another time or none: %+v, %v", i, found, err)
		}
	}
}

func TestASearchReportsWhetherItCoveredTheWholeQueue(t *testing.T) {
	s := newStream(t)
	small := reach{page: 2, around: 6, newest: 5, dead: 5}
	crowded := []uuid.UUID{v7(cast), v7(cast), v7(cast), v7(cast)}
	s.queue(t, cast, crowded...)
	if _, err := s.find(t.Context(), uuid.New(), small); !errors.Is(err, ErrNotQueued) {
		t.Errorf("in a short queue: %v", err)
	}
	newer := others(5)
	s.queue(t, cast.Add(time.Hour), newer...)
	for i, id := range append(newer, crowded[:3]...) {
		if _, err := s.find(t.Context(), id, small); err != nil {
			t.Errorf("vote %d within the bounds: %v", i, err)
		}
	}
	for name, id := range map[string]uuid.UUID{"the fourth of a crowd": crowded[3], "a vote nobody cast": uuid.New()} {
		if _, err := s.find(t.Context(), id, small); !errors.Is(err, ErrSearchLimit) || !IsPermanent(err) {
			t.Errorf("%s: %v", name, err)
		}
	}

	s.deadLetter(t, ReasonInvalid)
	for i, id := range newer {
		if found, err := s.find(t.Context(), id, small); err != nil || !found.Dead {
			t.Errorf("dead letter %d within the bounds: %+v, %v", i, found, err)
		}
	}
	if _, err := s.find(t.Context(), crowded[0], small); !errors.Is(err, ErrSearchLimit) {
		t.Errorf("an older dead letter: %v", err)
	}
}

func TestASearchCostsABoundedNumberOfReads(t *testing.T) {
	s := newStream(t)
	votes := others(30_000)
	s.queue(t, cast, votes...)
	if _, err := s.Find(t.Context(), votes[20_000]); err != nil {
		t.Errorf("the ten-thousandth from the end: %v", err)
	}
	if _, err := s.Find(t.Context(), votes[19_999]); !errors.Is(err, ErrSearchLimit) {
		t.Errorf("the one before it: %v", err)
	}
	if err := s.rdb.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), v7(cast)); !errors.Is(err, ErrSearchLimit) {
		t.Errorf("a vote nobody cast: %v", err)
	}
	info, err := s.rdb.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	var up, down int
	for line := range strings.Lines(info) {
		_, _ = fmt.Sscanf(line, "cmdstat_xrange:calls=%d,", &up)
		_, _ = fmt.Sscanf(line, "cmdstat_xrevrange:calls=%d,", &down)
	}
	if up != 5 || down != 1+10+1 {
		t.Errorf("%d pages read up and %d down, want 5 from the id's time on, and 1 before it, 10 of the newest and "+
			"1 of the dead letters", up, down)
	}
}
