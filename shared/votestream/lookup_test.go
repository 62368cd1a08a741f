package votestream

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

func TestAnEntryIsNamedByItsQueueAndID(t *testing.T) {
	for _, text := range []string{"0/1767323045001-0", "12/0-1", "0/18446744073709551615-18446744073709551615"} {
		e, err := ParseEntry(text)
		if shown, _ := json.Marshal(e); err != nil || e.String() != text || string(shown) != strconv.Quote(text) {
			t.Errorf("%s: %+v, %v", text, e, err)
		}
	}
	for _, text := range []string{
		"", "/", "0", "0/", "1767323045001-0", "0/1767323045001", "0/-", "0/+", "/1-0", "0/1-", "0/-1", "0/1-0-0", "0/0/1-0",
		"0/1-*", "0/(1-0", "0/$", "-1/1-0", "+0/1-0", "0/01-0", "0/1-00", "votes/1-0", " 0/1-0", "0/1-0\n", "0/1_0-0",
		"0/18446744073709551616-0", "0/1-99999999999999999999",
	} {
		if e, err := ParseEntry(text); !errors.Is(err, ErrMalformedEntry) || e != (Entry{}) {
			t.Errorf("%q: %+v, %v", text, e, err)
		}
	}
}

func (s *stream) wantLookup(t *testing.T, when string, e Entry, id uuid.UUID, want Location, wantErr error) {
	t.Helper()
	if l, err := s.Lookup(t.Context(), e, id); l != want || !errors.Is(err, wantErr) || err != nil && !IsPermanent(err) {
		t.Errorf("%s: %+v, %v, want %+v, %v", when, l, err, want, wantErr)
	}
}

func TestAVoteIsFoundAtItsEntryOnlyAndUntilItIsAcked(t *testing.T) {
	s := newStream(t)
	m, other := newMessage(ballot.Dogs), newMessage(ballot.Cats)
	e, err := s.producer.Publish(t.Context(), m)
	testenv.Must(t, err)
	otherEntry, err := s.producer.Publish(t.Context(), other)
	testenv.Must(t, err)
	at := Location{Message: m, EntryID: e.ID}
	s.wantLookup(t, "waiting", e, m.Vote.ID, at, nil)
	for when, wrong := range map[string]Entry{
		"without an entry": {}, "at another vote's": otherEntry, "at none": {"0", "1-1"},
		"in another queue": {"1", e.ID},
	} {
		s.wantLookup(t, when, wrong, m.Vote.ID, Location{}, ErrMaybeQueued)
	}
	batch := next(t, s.consumer("a"))
	s.wantLookup(t, "in flight", e, m.Vote.ID, at, nil)
	testenv.Must(t, s.Ack(t.Context(), ids(batch[:1])))
	s.wantLookup(t, "acked, while the queue holds another", e, m.Vote.ID, Location{}, ErrMaybeQueued)
	testenv.Must(t, s.Ack(t.Context(), ids(batch[1:])))
	s.wantLookup(t, "in an empty queue", e, m.Vote.ID, Location{}, ErrNotQueued)
	s.wantLookup(t, "in an empty queue, without an entry", Entry{}, m.Vote.ID, Location{}, ErrNotQueued)
}

// A receipt is public: it must not keep Redis from taking votes.
func TestALookupCostsLittleHoweverLongTheQueueIs(t *testing.T) {
	s := newStream(t)
	ctx := t.Context()
	for range 40 {
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for range 1000 {
				p.XAdd(ctx, &redis.XAddArgs{Stream: Stream, Values: newMessage(ballot.Dogs).encoded()})
			}
			return nil
		})
		testenv.Must(t, err)
	}
	e := Entry{"0", s.rdb.XRevRangeN(ctx, Stream, "+", "-", 1).Val()[0].ID}
	s.wantLookup(t, "unknown", Entry{}, uuid.New(), Location{}, ErrMaybeQueued) // loads the script
	testenv.Must(t, s.rdb.ConfigResetStat(ctx).Err())
	const lookups = 100
	for range lookups {
		s.wantLookup(t, "unknown", Entry{}, uuid.New(), Location{}, ErrMaybeQueued)
		s.wantLookup(t, "at another vote's entry", e, uuid.New(), Location{}, ErrMaybeQueued)
	}
	info, err := s.rdb.Info(ctx, "commandstats").Result()
	testenv.Must(t, err)
	var reads, scripts, usec float64
	for line := range strings.Lines(info) {
		_, _ = fmt.Sscanf(line, "cmdstat_xrange:calls=%f,", &reads)
		_, _ = fmt.Sscanf(line, "cmdstat_evalsha_ro:calls=%f,usec=%f,", &scripts, &usec)
	}
	each := usec / (2 * lookups)
	t.Logf("%.0f µs of Redis's time for each", each)
	if reads != lookups || scripts != 2*lookups || each > 200 {
		t.Errorf("%.0f entries read by %.0f scripts, %.0f µs each:\n%s", reads, scripts, each, info)
	}
}
