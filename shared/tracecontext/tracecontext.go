// Package tracecontext carries a W3C trace context (https://www.w3.org/TR/trace-context/) through the stream and the
// database as the text it is, so that only the telemetry decorators need to know what a span is.
package tracecontext

import "encoding/hex"

// TraceContext is the pair of W3C headers. The zero value is "no trace".
type TraceContext struct {
	Parent string // traceparent: "00-<32 hex trace id>-<16 hex span id>-<2 hex flags>"
	State  string // tracestate, passed on as it came
}

const parentLen = 55

// TraceID returns the 32 hex digits of the trace's id, or "" if Parent is not a valid version 00 traceparent.
func (t TraceContext) TraceID() string {
	if !t.valid() {
		return ""
	}
	return t.Parent[3:35]
}

// Sampled says whether the trace is being recorded.
func (t TraceContext) Sampled() bool {
	if !t.valid() {
		return false
	}
	var flags [1]byte
	_, err := hex.Decode(flags[:], []byte(t.Parent[53:55]))
	return err == nil && flags[0]&1 == 1
}

func (t TraceContext) valid() bool {
	p := t.Parent
	return len(p) == parentLen && p[:3] == "00-" && p[35] == '-' && p[52] == '-' &&
		isID(p[3:35]) && isID(p[36:52]) && isHex(p[53:55])
}

// isID says whether s is lower-case hex and not all zeros, which the standard forbids.
func isID(s string) bool {
	zero := true
	for i := range len(s) {
		zero = zero && s[i] == '0'
	}
	return isHex(s) && !zero
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
