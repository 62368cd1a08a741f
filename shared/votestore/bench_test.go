package votestore

import (
	"fmt"
	"testing"

	"petvote/infra/testenv"
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

// BenchmarkMigrate brings a million votes of the version before up to date.
func BenchmarkMigrate(b *testing.B) {
	const votes = 1_000_000
	for b.Loop() {
		b.StopTimer()
		s := openStore(b, testenv.NewDatabase(b))
		text, err := migrations.ReadFile("migrations/00001_votes.sql")
		testenv.Must(b, err)
		_, err = s.pool.Exec(b.Context(), s.schema.in(string(text))+fmt.Sprintf(`; insert into votes
			select lpad(to_hex(n), 32, '0')::uuid, 'dogs', now(), now(), lpad(to_hex(n), 32, '0'), 1795717846018 + n || '-0'
			from generate_series(1, %d) as n`, votes))
		testenv.Must(b, err)
		b.StartTimer()
		testenv.Must(b, s.Migrate(b.Context()))
	}
}
