package votestream

import (
	"testing"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
	"petvote/shared/config"
)

// BenchmarkPublish has 64 callers share round trips to a Redis that syncs each to disk before it answers.
func BenchmarkPublish(b *testing.B) {
	server := testenv.NewRedis(b)
	rdb := Config{Host: server.Host(), Port: config.Port(server.Port())}.Dial(0)
	defer rdb.Close()
	producer, err := NewProducer(rdb)
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := producer.Publish(b.Context(), newMessage(ballot.Dogs)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "votes/s")
}

func BenchmarkEncode(b *testing.B) {
	m := newMessage(ballot.Dogs)
	b.ReportAllocs()
	for b.Loop() {
		_ = m.encode()
	}
}

func BenchmarkDecode(b *testing.B) {
	f := fields(newMessage(ballot.Dogs))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(f); err != nil {
			b.Fatal(err)
		}
	}
}
