package tracecontext

import "testing"

func TestOnlyValidParentsHaveATraceID(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, tt := range []struct {
		parent  string
		id      string
		sampled bool
	}{
		{"00-" + id + "-00f067aa0ba902b7-01", id, true},
		{"00-" + id + "-00f067aa0ba902b7-03", id, true},
		{"00-" + id + "-00f067aa0ba902b7-00", id, false},
		{"", "", false},
		{"01-" + id + "-00f067aa0ba902b7-01", "", false},
		{"00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "", false},
		{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "", false},
		{"00-" + id + "-0000000000000000-01", "", false},
		{"00-" + id + "-00f067aa0ba902b7-0x", "", false},
		{"00-" + id + "-00f067aa0ba902b7-01-more", "", false},
	} {
		tc := TraceContext{Parent: tt.parent}
		if tc.TraceID() != tt.id || tc.Sampled() != tt.sampled {
			t.Errorf("%q: id %q, sampled %v", tt.parent, tc.TraceID(), tc.Sampled())
		}
	}
}
