package votestore

import (
	"fmt"
	"testing"

	"petvote/shared/ballot"
)

// BenchmarkRecord stores new votes in batches, two at once like a worker's consumers; votes/s is what one worker
// stores.
func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{1, 100, 2000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			s := newStore(b)
			b.SetParallelism(1)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					batch := make([]Entry, size)
					for i := range batch {
						batch[i] = newEntry(ballot.Choices()[i%3])
					}
					if _, err := s.Record(b.Context(), batch); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "votes/s")
		})
	}
}
