package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"petvote/observability/telemetry"
	"petvote/shared/config"
	"petvote/shared/lifecycle"
	"petvote/shared/votestream"
	"petvote/shared/web"
)

// BenchmarkAcceptedVote measures an accepted vote in the service without the queue: protections, tracing without
// export, metrics, breaker, JSON.
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
	publisher, err := tel.Publisher(newAdmission(discard{}, 1024).Publish)
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

func (discard) Publish(context.Context, votestream.Message) (votestream.Entry, error) {
	return testEntry, nil
}
