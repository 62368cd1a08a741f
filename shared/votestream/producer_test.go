package votestream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

// held publishes one vote whose round trip is held up, and then the others, which wait for it. It returns their errors
// and the number of round trips.
func (s *stream) held(t *testing.T, others ...Message) (errs []error, trips int) {
	t.Helper()
	release := make(chan struct{})
	policy := s.producer.policy
	s.producer.policy = func(ctx context.Context, call func(context.Context) error) error {
		if trips++; trips == 1 {
			<-release
		}
		return policy(ctx, call)
	}
	var publishing sync.WaitGroup
	errs = make([]error, 1+len(others))
	for i, m := range append([]Message{newMessage(ballot.Dogs)}, others...) {
		publishing.Go(func() { _, errs[i] = s.producer.Publish(t.Context(), m) })
		testenv.Eventually(t, func() error {
			s.producer.mu.Lock()
			defer s.producer.mu.Unlock()
			if pending, waiting := s.producer.Pending(), len(s.producer.waiting); pending != int64(i+1) || waiting != i {
				return fmt.Errorf("of %d votes %d are pending and %d wait", i+1, pending, waiting)
			}
			return nil
		})
	}
	close(release)
	publishing.Wait()
	return errs, trips
}

func TestVotesThatWaitShareARoundTrip(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	const n = 20
	others := make([]Message, n)
	for i := range others {
		others[i] = newMessage(ballot.Cats)
	}
	errs, trips := s.held(t, others...)
	err, length := errors.Join(errs...), s.rdb.XLen(t.Context(), Stream).Val()
	if err != nil || trips != 2 || length != n+1 || s.producer.Pending() > 0 {
		t.Errorf("%d round trips, %d entries, %d pending, %v", trips, length, s.producer.Pending(), err)
	}
}

// Redis has no room for the second.
func TestARefusedVoteDoesNotFailTheOthersOfItsGroup(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	testenv.Must(t, s.rdb.ConfigSet(t.Context(), "maxmemory", "16mb").Err())
	errs, _ := s.held(t, newMessage(ballot.Cats), newMessage(ballot.Choice(strings.Repeat("x", 32<<20))))
	if errs[1] != nil || !redis.IsOOMError(errs[2]) {
		t.Errorf("%v", errs)
	}
}

func TestAVoteWhoseVoterGaveUpIsNotAdded(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	testenv.Must(t, s.server.Pause())
	done := make(chan error)
	go func() { _, err := s.producer.Publish(t.Context(), newMessage(ballot.Dogs)); done <- err }()
	testenv.Eventually(t, func() error {
		if s.producer.Pending() == 0 {
			return errors.New("not pending yet")
		}
		return nil
	})
	_, err := s.producer.Producer.Publish(t.Context(), newMessage(ballot.Cats), 20*time.Millisecond)
	if !errors.Is(err, ErrNoAnswer) {
		t.Errorf("%v", err)
	}
	testenv.Must(t, s.server.Resume())
	testenv.Must(t, <-done)
	_, err = s.producer.Publish(t.Context(), newMessage(ballot.Lizards))
	if n := s.rdb.XLen(t.Context(), Stream).Val(); err != nil || n != 2 {
		t.Errorf("%d entries, %v", n, err)
	}
}

func TestCloseWaitsForVotesThatWereGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		p := NewProducer(nil, func(context.Context, func(context.Context) error) error {
			time.Sleep(time.Second)
			ended = true
			return errNoEntry
		})
		_, err := p.Publish(t.Context(), newMessage(ballot.Dogs), time.Millisecond)
		p.Close()
		if !errors.Is(err, ErrNoAnswer) || !ended {
			t.Errorf("%v; the round trip ended: %v", err, ended)
		}
		if _, err := p.Publish(t.Context(), newMessage(ballot.Dogs), time.Second); !errors.Is(err, errClosed) {
			t.Errorf("after that: %v", err)
		}
	})
}

func TestAVoteForWhichThereIsNoRoomLeavesNoTimer(t *testing.T) {
	var made *addition
	p := NewProducer(nil, nil)
	p.additions.New = func() any { made = newAddition().(*addition); return made }
	p.waiting = make([]*addition, maxWaiting)
	_, err := p.Publish(t.Context(), newMessage(ballot.Dogs), time.Second)
	if !errors.Is(err, errTooManyWaiting) || made.timer.Stop() {
		t.Errorf("%v, or the timer runs", err)
	}
}

func TestEachVoteGetsItsOwnEntry(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	const voters, votes = 32, 50
	var voting sync.WaitGroup
	for range voters {
		voting.Go(func() {
			for range votes {
				m := newMessage(ballot.Dogs)
				e, err := s.producer.Publish(t.Context(), m)
				if err != nil {
					t.Error(err)
					return
				}
				found, err := s.Lookup(t.Context(), e, m.Vote.ID)
				if err != nil || found.EntryID != e.ID {
					t.Errorf("vote %v is not at its entry %v: %v", m.Vote.ID, e, err)
				}
			}
		})
	}
	voting.Wait()
	if n := s.rdb.XLen(t.Context(), Stream).Val(); n != voters*votes {
		t.Errorf("%d entries", n)
	}
}
