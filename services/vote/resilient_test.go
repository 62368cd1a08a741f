package main

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func guarded(publish func(context.Context) error) (*queue, *voteHandler) {
	q := &queue{publish: publish}
	h := q.handler()
	h.queue = resilientPublisher{next: q, policy: redisPolicy(nil)}
	return q, h
}

func TestAVoterIsAnsweredWithinTheBudgetWhateverRedisDoes(t *testing.T) {
	for name, publish := range map[string]func(context.Context) error{
		"it hangs":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"it refuses": func(context.Context) error { return errors.New("connection refused") },
	} {
		synctest.Test(t, func(t *testing.T) {
			q, h := guarded(publish)
			for range 20 {
				start := time.Now()
				w := post(t.Context(), h)
				if took := time.Since(start); w.Code != http.StatusServiceUnavailable || took > budget {
					t.Errorf("%s: status %d after %v", name, w.Code, took)
				}
			}
			if len(q.messages) > 0 {
				t.Errorf("%s: published %+v", name, q.messages)
			}
		})
	}
}

func TestTheVoterDoesNotSeeATransientFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		q, h := guarded(func(context.Context) error {
			if tries++; tries < 3 {
				return errors.New("LOADING Redis is loading the dataset in memory")
			}
			return nil
		})
		w := post(t.Context(), h)
		if w.Code != http.StatusOK || len(q.messages) != 1 || q.messages[0].Vote.ID.String() != testKey {
			t.Errorf("status %d, published %+v", w.Code, q.messages)
		}
	})
}
