package systemtest

import (
	"testing"

	"github.com/google/uuid"

	"petvote/infra/ledger"
	"petvote/shared/ballot"
)

// BenchmarkAcceptingVotes measures the cost of tracing: votes accepted from 64 connections without export, with a
// collector at 1 % and 100 % of sampling, and without one at 100 %.
// go test ./infra/systemtest -run '^$' -bench AcceptingVotes
func BenchmarkAcceptingVotes(b *testing.B) {
	collector := newReceiver(b)
	export := "OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.url
	for _, c := range []struct {
		name string
		env  []string
	}{
		{"untraced", nil},
		{"1percent", []string{export, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01"}},
		{"all", []string{export}},
		{"all-collector-unavailable", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b, withEnv(c.env...))
			b.SetParallelism(32) // for each of two cores
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					a := r.voter.Cast(b.Context(), uuid.Must(uuid.NewV7()), ballot.Dogs)
					if a.Status != ledger.Accepted {
						b.Errorf("%+v", a)
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "votes/s")
		})
	}
}
