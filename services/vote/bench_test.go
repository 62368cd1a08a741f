package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"petvote/observability/telemetry"
	"petvote/shared/config"
	"petvote/shared/lifecycle"
	"petvote/shared/votestream"
	"petvote/shared/web"
)

// BenchmarkAcceptedVote measures an accepted vote in the service: protections, tracing without export, metrics, the
// choice between two queues, JSON. It leaves out the producers: their round trips, each under policy and breaker, are
// shared by all votes that wait.
func BenchmarkAcceptedVote(b *testing.B) {
	tel, err := telemetry.Start(b.Context(), name, false)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := tel.Shutdown(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	})
	all := &balancer{queues: []*queue{newFakeQueue("redis-0", nil), newFakeQueue("redis-1", nil)}}
	for _, q := range all.queues {
		q.producer = discard{}
	}
	publisher, err := tel.Publisher(newAdmission(all, 1024).Publish)
	if err != nil {
		b.Fatal(err)
	}
	front := web.NewFront(config.Public{})
	public := routes(newPage(settings{}, ""), publisher, front, http.NotFoundHandler(), lifecycle.NewHealth(nil))
	h := front.Handler(tel.HTTP(public))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/vote", strings.NewReader(`{"pet":"dogs"}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("status %d", w.Code)
		}
	}
}

type discard struct{}

func (discard) Publish(context.Context, votestream.Message, time.Duration) (votestream.Entry, error) {
	return testEntry, nil
}

func (discard) Pending() int64 { return 0 }
