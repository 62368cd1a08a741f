package votestream

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
	"petvote/shared/tracecontext"
)

func fields(m Message) map[string]any { return fieldMap(m.encoded()) }

// encoded returns alternating fields and values, as XADD takes them.
func (m Message) encoded() (list []any) {
	for i, value := range m.values() {
		list = append(list, voteFields[i], value)
	}
	return list
}

func newMessage(pet ballot.Choice) Message {
	return Message{
		Vote: ballot.Vote{ID: uuid.Must(uuid.NewV7()), Pet: pet, CastAt: time.Now().UTC()},
		Trace: tracecontext.TraceContext{
			Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "vendor=1",
		},
	}
}

func TestAnEntryHasTheContractsFields(t *testing.T) {
	m := newMessage(ballot.Cats)
	want := map[string]any{
		"id": m.Vote.ID.String(), "vote": "cats", "cast_at": m.Vote.CastAt.Format(time.RFC3339Nano),
		"traceparent": m.Trace.Parent, "tracestate": m.Trace.State,
	}
	if f := fields(m); !maps.Equal(f, want) {
		t.Errorf("fields %v, want %v", f, want)
	}
}

func TestDecodeRefusesMalformedEntries(t *testing.T) {
	good := fields(newMessage(ballot.Dogs))
	for name, c := range map[string]struct {
		edit func(map[string]any)
		ok   bool
	}{
		"complete":      {func(map[string]any) {}, true},
		"no trace":      {func(f map[string]any) { delete(f, "traceparent"); delete(f, "tracestate") }, true},
		"bad trace":     {func(f map[string]any) { f["traceparent"] = "nonsense" }, true},
		"another field": {func(f map[string]any) { f["more"] = "1" }, true},
		"no id":         {func(f map[string]any) { delete(f, "id") }, false},
		"bad id":        {func(f map[string]any) { f["id"] = "1" }, false},
		"id of no text": {func(f map[string]any) { f["id"] = 7 }, false},
		"no vote":       {func(f map[string]any) { delete(f, "vote") }, false},
		"no time":       {func(f map[string]any) { delete(f, "cast_at") }, false},
		"bad time":      {func(f map[string]any) { f["cast_at"] = "yesterday" }, false},
		"deleted entry": {func(f map[string]any) { clear(f) }, false},
	} {
		f := maps.Clone(good)
		c.edit(f)
		if _, err := decode(f); c.ok && err != nil || !c.ok && !errors.Is(err, ErrUndecodable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A message survives encoding and decoding, whatever the fields hold.
func FuzzEnvelope(f *testing.F) {
	m := newMessage(ballot.Lizards)
	f.Add(m.Vote.ID.String(), "lizards", m.Vote.CastAt.Format(time.RFC3339Nano), m.Trace.Parent, m.Trace.State)
	f.Add("urn:uuid:"+m.Vote.ID.String(), "", "2026-01-01T00:00:00+23:59", "", "\xff")
	f.Add("", "\x00", "0000-01-01T00:00:00Z", "00-", "a=b")
	f.Fuzz(func(t *testing.T, id, vote, castAt, parent, state string) {
		first, err := decode(map[string]any{
			"id": id, "vote": vote, "cast_at": castAt, "traceparent": parent, "tracestate": state,
		})
		if err != nil {
			if !errors.Is(err, ErrUndecodable) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		again, err := decode(fields(first))
		if err != nil {
			if y := first.Vote.CastAt.Year(); y < 0 || y > 9999 {
				return // RFC 3339 has four digits for the year; such a vote is invalid anyway
			}
			t.Fatalf("%+v does not survive encoding: %v", first, err)
		}
		if again != first {
			t.Fatalf("%+v became %+v", first, again)
		}
	})
}

// BenchmarkPublish has 64 callers share round trips to a Redis that syncs each to disk before it answers.
func BenchmarkPublish(b *testing.B) {
	producer := producer{NewProducer(dialURL(b, testenv.NewRedis(b).Addr()), once)}
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

func BenchmarkDecode(b *testing.B) {
	f := fields(newMessage(ballot.Dogs))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(f); err != nil {
			b.Fatal(err)
		}
	}
}
