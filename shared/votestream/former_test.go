package votestream

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

// formerLetters adds dead letters as an older version did, and one more that was replayed.
func (s *stream) formerLetters(t *testing.T, letters ...[]any) {
	t.Helper()
	for _, fields := range append(letters, []any{"replayed", ""}) {
		testenv.Must(t, s.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "votes:dead", Values: fields}).Err())
	}
	replayed := s.rdb.XRevRangeN(t.Context(), "votes:dead", "+", "-", 1).Val()
	testenv.Must(t, s.rdb.XDel(t.Context(), "votes:dead", replayed[0].ID).Err())
}

func (s *stream) wantMoved(t *testing.T) {
	t.Helper()
	if weak, err := s.MoveFormerKeys(t.Context()); err != nil || len(weak) > 0 {
		t.Fatal(weak, err)
	}
	for _, former := range []string{"votes:dead", "votes:dead:index", "votes:tries"} {
		if n, err := s.rdb.Exists(t.Context(), former).Result(); n != 0 || err != nil {
			t.Errorf("%s is still there (%v)", former, err)
		}
	}
}

func TestTheDeadLettersAndRetriesOfAnOlderVersionAreMovedAndCountedOnce(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]func(*servers.RedisConfig){
		"": nil, "in a cluster of one server": {inCluster(servers.AllSlots)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, options...)
			ctx := t.Context()
			s.publish(t, 2)
			batch := next(t, s.consumer("a"))
			vote := newMessage(ballot.Dogs)
			loud := append(vote.encoded(), "reason", "rejected")
			loud[1] = strings.ToUpper(vote.Vote.ID.String())
			s.formerLetters(t, loud, []any{"nonsense", "1", "reason", "undecodable"})
			s.rdb.HSet(ctx, "votes:dead:index", vote.Vote.ID.String(), "1-1")
			s.rdb.HSet(ctx, "votes:tries", batch[0].EntryID, 3, "1-1", 5) // the other one's entry is gone
			before := s.rdb.XRange(ctx, "votes:dead", "-", "+").Val()

			s.wantMoved(t)
			s.wantMoved(t)
			if st := s.stats(t); st.Dead != 3 || st.DeadNow != 2 {
				t.Errorf("stats %+v, want 3 ever and 2 now", st)
			}
			after := s.rdb.XRange(ctx, DeadStream, "-", "+").Val()
			if len(after) != 2 || after[0].ID != before[0].ID || after[1].ID != before[1].ID || len(after[0].Values) != 6 {
				t.Errorf("letters %v, were %v", after, before)
			}
			s.wantLookup(t, "moved", Entry{}, vote.Vote.ID, Location{Message: vote, Dead: true, Reason: ReasonRejected}, nil)
			if index := s.rdb.HGetAll(ctx, deadIndexKey).Val(); len(index) != 2 || index[before[1].ID] != before[1].ID {
				t.Errorf("index %v, want the letter without a vote by its own ID", index)
			}
			if tries := s.rdb.HGetAll(ctx, retriesKey).Val(); len(tries) != 1 || tries[batch[0].EntryID] != "3" {
				t.Errorf("retries %v, want 3 of the entry that is there", tries)
			}

			// An older version that still runs adds one, after this one has.
			testenv.Must(t, s.DeadLetter(ctx, []Failure{{batch[1], ReasonRejected, errors.New("refused")}}))
			late := make([][]any, 2*formerPage)
			for i := range late {
				late[i] = newMessage(ballot.Cats).encoded()
			}
			s.rdb.XAdd(ctx, &redis.XAddArgs{Stream: "votes:dead", ID: "1-0", Values: []any{"older", ""}})
			s.formerLetters(t, late...)
			s.wantMoved(t)
			if st := s.stats(t); st.Dead != 3+1+2*formerPage+2 || st.DeadNow != 2+1+2*formerPage+1 {
				t.Errorf("stats %+v, want %d ever and %d now", st, 6+2*formerPage, 4+2*formerPage)
			}
			if n := s.rdb.HLen(ctx, deadIndexKey).Val(); n != 4+2*formerPage {
				t.Errorf("%d letters in the index, want each", n)
			}
		})
	}
}

func TestDeadLettersOfAnOlderVersionThatAreAllReplayedStayCounted(t *testing.T) {
	s := newStream(t)
	s.formerLetters(t)
	s.formerLetters(t)
	s.wantMoved(t)
	if st := s.stats(t); st.Dead != 2 || st.DeadNow != 0 {
		t.Errorf("stats %+v, want 2 ever", st)
	}
	s.wantLookup(t, "nobody's", Entry{}, uuid.New(), Location{}, ErrNotQueued)
}

func TestAnotherProgramsKeyIsNotTouched(t *testing.T) {
	s := newStream(t)
	s.rdb.RPush(t.Context(), "votes:dead", "a list")
	if weak, err := s.MoveFormerKeys(t.Context()); err != nil || len(weak) != 1 || weak[0].Setting != "redis votes:dead" {
		t.Errorf("%v, %v", weak, err)
	}
	if n := s.rdb.LLen(t.Context(), "votes:dead").Val(); n != 1 {
		t.Errorf("%d elements, want 1", n)
	}
}
