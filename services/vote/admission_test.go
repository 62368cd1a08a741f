package main

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"petvote/observability/telemetry"
	"petvote/shared/votestream"
)

func TestAVoteWhoseTurnDoesNotComeInTimeIsRefusedAndTheOthersAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := make(slow)
		h := (&queue{}).handler()
		limit := newAdmission(full, 3)
		h.queue = limit
		want := func(f telemetry.Admission) {
			t.Helper()
			synctest.Wait()
			if got := limit.figures(); got != f {
				t.Errorf("figures %+v, want %+v", got, f)
			}
		}
		start := time.Now()
		var voters sync.WaitGroup
		for range 3 {
			voters.Go(func() {
				if w := post(t.Context(), h); w.Code != http.StatusOK {
					t.Errorf("status %d", w.Code)
				}
			})
		}
		synctest.Wait() // all three wait for the queue
		for range 5 {
			voters.Go(func() {
				w := post(t.Context(), h)
				if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || time.Since(start) != turnWithin {
					t.Errorf("status %d after %v, header %v", w.Code, time.Since(start), w.Header())
				}
			})
		}
		want(telemetry.Admission{InFlight: 3, Waiting: 5})
		time.Sleep(2 * turnWithin)
		want(telemetry.Admission{InFlight: 3, Refused: 5})
		for range 2 {
			voters.Go(func() {
				if w := post(t.Context(), h); w.Code != http.StatusOK {
					t.Errorf("status %d, though its turn came in time", w.Code)
				}
			})
		}
		time.Sleep(turnWithin / 2)
		close(full)
		voters.Wait()
		want(telemetry.Admission{Refused: 5})
	})
}

func TestTheWaitForItsTurnIsPartOfAVotesBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hanging := make(slow)
		h := (&queue{}).handler()
		h.queue = newAdmission(hanging, 1)
		first, leave := context.WithCancel(t.Context())
		var voters sync.WaitGroup
		voters.Go(func() { _ = h.queue.Publish(first, votestream.Message{}) })
		synctest.Wait()
		voters.Go(func() {
			start := time.Now()
			if w := post(t.Context(), h); w.Code != http.StatusServiceUnavailable || time.Since(start) != budget {
				t.Errorf("status %d after %v", w.Code, time.Since(start))
			}
		})
		time.Sleep(turnWithin / 2)
		leave()
		voters.Wait()
	})
}

// slow takes every vote, once it is closed.
type slow chan struct{}

func (s slow) Publish(ctx context.Context, _ votestream.Message) error {
	select {
	case <-s:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
