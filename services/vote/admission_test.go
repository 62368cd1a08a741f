package main

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"petvote/shared/votestream"
)

func TestVotesBeyondWhatMayBeInFlightAreRefusedAtOnceAndTheOthersTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		h := (&queue{}).handler()
		h.queue = &admission{next: slow(answer), most: 3}
		var taken sync.WaitGroup
		for range 3 {
			taken.Go(func() {
				if w := post(t.Context(), h); w.Code != http.StatusOK {
					t.Errorf("status %d", w.Code)
				}
			})
		}
		synctest.Wait() // all three wait for the queue
		for range 5 {
			if w := post(t.Context(), h); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
				t.Errorf("status %d, header %v", w.Code, w.Header())
			}
		}
		close(answer)
		taken.Wait()
		if w := post(t.Context(), h); w.Code != http.StatusOK {
			t.Errorf("status %d when there is room again", w.Code)
		}
	})
}

// slow takes every vote, once it is closed.
type slow chan struct{}

func (s slow) Publish(context.Context, votestream.Message) error { <-s; return nil }
