package votestream

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
	"petvote/shared/tracecontext"
)

func fields(m Message) map[string]any {
	values := m.encode()
	f := map[string]any{}
	for i := 0; i < len(values); i += 2 {
		f[values[i].(string)] = values[i+1]
	}
	return f
}

func newMessage(pet ballot.Choice) Message {
	return Message{
		Vote:  ballot.Vote{ID: uuid.Must(uuid.NewV7()), Pet: pet, CastAt: time.Now().UTC()},
		Trace: tracecontext.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "vendor=1"},
	}
}

func TestAnEntryHasTheContractsFields(t *testing.T) {
	m := newMessage(ballot.Cats)
	f := fields(m)
	want := map[string]any{
		"id": m.Vote.ID.String(), "vote": "cats", "cast_at": m.Vote.CastAt.Format(time.RFC3339Nano),
		"traceparent": m.Trace.Parent, "tracestate": m.Trace.State,
	}
	if len(f) != len(want) {
		t.Errorf("fields = %v", f)
	}
	for name, value := range want {
		if f[name] != value {
			t.Errorf("%s = %v, want %v", name, f[name], value)
		}
	}
}

func TestDecodeRefusesWhatIsNoVote(t *testing.T) {
	good := fields(newMessage(ballot.Dogs))
	tests := []struct {
		name string
		edit func(map[string]any)
		ok   bool
	}{
		{"complete", func(map[string]any) {}, true},
		{"without a trace", func(f map[string]any) { delete(f, "traceparent"); delete(f, "tracestate") }, true},
		{"with a broken trace", func(f map[string]any) { f["traceparent"] = "nonsense" }, true},
		{"with more fields", func(f map[string]any) { f["more"] = "1" }, true},
		{"without an id", func(f map[string]any) { delete(f, "id") }, false},
		{"with a broken id", func(f map[string]any) { f["id"] = "1" }, false},
		{"without a vote", func(f map[string]any) { delete(f, "vote") }, false},
		{"without a time", func(f map[string]any) { delete(f, "cast_at") }, false},
		{"with a broken time", func(f map[string]any) { f["cast_at"] = "yesterday" }, false},
		{"of another type", func(f map[string]any) { f["id"] = 7 }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := map[string]any{}
			for k, v := range good {
				f[k] = v
			}
			tt.edit(f)
			_, err := decode(f)
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrUndecodable) {
				t.Errorf("decode: %v", err)
			}
		})
	}
	if _, err := decode(nil); !errors.Is(err, ErrUndecodable) {
		t.Errorf("decode of an entry that is gone: %v", err)
	}
}

// What decodes must encode to something that decodes to the same, whatever stands in the fields.
func FuzzEnvelope(f *testing.F) {
	m := newMessage(ballot.Lizards)
	f.Add(m.Vote.ID.String(), "lizards", m.Vote.CastAt.Format(time.RFC3339Nano), m.Trace.Parent, m.Trace.State)
	f.Add("urn:uuid:"+m.Vote.ID.String(), "", "2026-01-01T00:00:00+23:59", "", "\xff")
	f.Add("", "\x00", "0000-01-01T00:00:00Z", "00-", "a=b")
	f.Fuzz(func(t *testing.T, id, vote, castAt, parent, state string) {
		first, err := decode(map[string]any{"id": id, "vote": vote, "cast_at": castAt, "traceparent": parent, "tracestate": state})
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
