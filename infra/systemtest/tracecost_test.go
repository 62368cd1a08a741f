package systemtest

import (
	"net/http"
	"testing"
)

// BenchmarkAcceptingVotes is what tracing costs: votes accepted from 64 connections without export, at 1 % and 100 % of
// sampling with a collector, and at 100 % with one that is away: go test ./infra/systemtest -run '^$' -bench AcceptingVotes
func BenchmarkAcceptingVotes(b *testing.B) {
	const away = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"
	for _, c := range []struct {
		name string
		env  func(collector string) []string
	}{
		{"untraced", func(string) []string { return nil }},
		{"1percent", func(collector string) []string {
			return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01"}
		}},
		{"all", func(collector string) []string { return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector} }},
		{"all-collector-away", func(string) []string { return []string{away} }},
	} {
		b.Run(c.name, func(b *testing.B) {
			collector := newReceiver(b)
			r := newRig(b, withEnv(c.env(collector.url)...))
			b.SetParallelism(32) // for each of two cores
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if status, _, _, err := cast(b.Context(), r.Vote.URL("/vote"), "dogs", ""); err != nil || status != http.StatusOK {
						b.Errorf("status %d, %v", status, err)
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "votes/s")
		})
	}
}
