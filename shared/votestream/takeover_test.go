package votestream

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"petvote/infra/servers"
	"petvote/infra/testenv"
)

// steppedStream returns a stream on a Redis whose clock the test can step.
func steppedStream(t *testing.T) (*stream, *testenv.Clock) {
	t.Helper()
	clock := testenv.NewClock(t)
	return newStream(t, func(c *servers.RedisConfig) { c.Env = clock.Env() }), clock
}

func TestADeadConsumersEntriesAreClaimedOnceWhateverRedissClockDoes(t *testing.T) {
	for name, back := range map[string]time.Duration{"it is right": 0, "it steps back": time.Hour} {
		s, clock := steppedStream(t)
		clock.Step(back)
		s.publish(t, 15)
		dead := s.consumer("dead")
		next(t, dead)
		next(t, dead)
		clock.Step(0)
		claimed := 0
		heirs := []*Consumer{s.consumer("heir"), s.consumer("another heir")}
		for deadline := time.Now().Add(20 * time.Second); claimed < 15 && time.Now().Before(deadline); {
			for _, heir := range heirs {
				batch, err := heir.Next(t.Context(), 10, false)
				if err != nil {
					continue // a blocked read lasts by the stepped clock, longer than its caller waits
				}
				for _, d := range batch {
					if d.Deliveries != 2 || d.Err != nil {
						t.Errorf("%s: claimed %+v", name, d)
					}
				}
				testenv.Must(t, s.Ack(t.Context(), append(ids(batch), "0-1")))
				claimed += len(batch)
			}
		}
		if st := s.stats(t); claimed != 15 || st.InFlight+st.Waiting != 0 {
			t.Errorf("%s: %d claims of 15 entries, then %+v", name, claimed, st)
		}
	}
}

// Both saw the entry lie untouched, but the first has touched it since.
func TestAnEntryIsClaimedOnceForEachTimeItWasSeenUntouched(t *testing.T) {
	s := newStream(t)
	s.publish(t, 1)
	next(t, s.consumer("dead"))
	heirs := []*Consumer{s.consumer("heir"), s.consumer("another heir")}
	for _, heir := range heirs {
		testenv.Must(t, heir.look(t.Context(), time.Now().Add(time.Hour)))
		// As if an hour had passed by this process's clock, though none has by Redis's.
		if err := heir.look(t.Context(), time.Now().Add(2*time.Hour)); err != nil || len(heir.pending.untouched) != 1 {
			t.Fatalf("untouched %v, %v, want the entry", heir.pending.untouched, err)
		}
	}
	for i, want := range []int{1, 0} {
		if batch, err := heirs[i].claim(t.Context(), 10); err != nil || len(batch) != want {
			t.Errorf("%s claimed %d entries, %v, want %d", heirs[i].options.Name, len(batch), err, want)
		}
	}
	for range 3 { // its new holder is not known for long enough
		if err := heirs[1].look(t.Context(), time.Now()); err != nil || len(heirs[1].pending.untouched) != 0 {
			t.Errorf("untouched %v, %v, want none", heirs[1].pending.untouched, err)
		}
	}
}

// A holder that still works on an entry says so without another delivery.
func TestAnEntryThatItsHolderTouchesIsNotClaimed(t *testing.T) {
	s, clock := steppedStream(t)
	s.publish(t, 1)
	entry := ids(next(t, s.consumer("slow")))[0]
	other := s.consumer("other")
	other.options.ClaimIdle = 10 * time.Second
	now := time.Now()
	for i, ahead := range []time.Duration{0, 6, 12, 18, 3600, 3606, 12, 18} { // seconds
		clock.Step(ahead * time.Second)
		hold := &redis.XClaimArgs{Stream: Stream, Group: Group, Consumer: "slow", Messages: []string{entry}}
		testenv.Must(t, s.rdb.XClaimJustID(t.Context(), hold).Err())
		time.Sleep(5 * time.Millisecond) // Redis tells nothing of a touch in the same millisecond
		now = now.Add(6 * time.Second)
		if err := other.look(t.Context(), now); err != nil || len(other.pending.untouched) > 0 {
			t.Errorf("look %d: %v, %v, want none untouched", i, other.pending.untouched, err)
		}
	}
	clock.Step(0) // the next look would take a touch at this time for one in the future
	for i, want := range []int{0, 1} {
		now = now.Add(6 * time.Second)
		if err := other.look(t.Context(), now); err != nil || len(other.pending.untouched) != want {
			t.Errorf("without touches, look %d: %v, %v, want %d untouched", i, other.pending.untouched, err, want)
		}
	}
}

func TestTheAgeOfTheQueueGrowsWhateverRedissClockShows(t *testing.T) {
	s, clock := steppedStream(t)
	clock.Step(time.Hour)
	s.publish(t, 1)
	if st := s.stats(t); st.Oldest <= 0 || st.Oldest > time.Minute || (st.Ahead-time.Hour).Abs() > time.Minute {
		t.Errorf("age %v, Redis's clock is %v ahead; want a moment and an hour", st.Oldest, st.Ahead)
	}
	clock.Step(0)
	restarted := NewQueue(s.rdb) // knows nothing of the time before
	before, err := restarted.Stats(t.Context())
	if err != nil || before.Oldest <= 0 || before.Oldest > time.Minute {
		t.Errorf("first seen: age %v, %v", before.Oldest, err)
	}
	time.Sleep(20 * time.Millisecond)
	after, err := restarted.Stats(t.Context())
	if grown := after.Oldest - before.Oldest; err != nil || grown < 15*time.Millisecond {
		t.Errorf("the age grew by %v in 20 ms, %v", grown, err)
	}
	testenv.Must(t, s.Ack(t.Context(), ids(next(t, s.consumer("a")))))
	if st := s.stats(t); st.Oldest != 0 {
		t.Errorf("of an empty queue: age %v", st.Oldest)
	}
}
