// Package tracecontext carries a W3C trace context (https://www.w3.org/TR/trace-context/) as text through the stream
// and the database, so that only the telemetry decorators depend on spans.
package tracecontext

import "strings"

// TraceContext is the pair of W3C headers. The zero value means no trace.
type TraceContext struct {
	Parent string // traceparent: "00-<32 hex trace id>-<16 hex span id>-<2 hex flags>"
	State  string // tracestate, passed on unchanged
}

// TraceID returns the 32 hex digits of the trace's id, or "" if Parent is not a valid version 00 traceparent.
func (t TraceContext) TraceID() string {
	if !t.valid() {
		return ""
	}
	return t.Parent[3:35]
}

// Sampled reports whether the trace is being recorded: the lowest bit of the flags.
func (t TraceContext) Sampled() bool { return t.valid() && strings.IndexByte(hex, t.Parent[54])%2 == 1 }

func (t TraceContext) valid() bool {
	const length = 55
	p := t.Parent
	return len(p) == length && p[:3] == "00-" && p[35] == '-' && p[52] == '-' &&
		isID(p[3:35]) && isID(p[36:52]) && isHex(p[53:55])
}

const hex = "0123456789abcdef" // the standard allows no capitals

func isHex(s string) bool { return strings.Trim(s, hex) == "" }

// isID reports whether s is hex and not all zeros, which the standard forbids.
func isID(s string) bool { return isHex(s) && strings.Trim(s, "0") != "" }
