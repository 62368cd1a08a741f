package telemetry

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// logged makes the process's logger for one test and returns what it writes to.
func logged(t *testing.T, format string, level slog.Level) *bytes.Buffer {
	t.Helper()
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	var out bytes.Buffer
	Log(&out, "vote", format, level)
	return &out
}

func line(t *testing.T, out *bytes.Buffer) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	out.Reset()
	return fields
}

func TestALineWrittenInASpanCarriesItsIDs(t *testing.T) {
	out := logged(t, "json", slog.LevelInfo)
	ctx := extract(t.Context(), recordedA)
	slog.InfoContext(ctx, "vote refused", "error", errAway)
	if l := line(t, out); l["trace_id"] != traceA || l["span_id"] != parentA || l["service"] != "vote" || l["error"] != errAway.Error() || l["msg"] != "vote refused" {
		t.Errorf("line %v", l)
	}
	slog.With("lane", 1).InfoContext(ctx, "derived")
	if l := line(t, out); l["trace_id"] != traceA || l["lane"] != 1.0 {
		t.Errorf("line of a derived logger: %v", l)
	}
	slog.Default().WithGroup("redis").InfoContext(ctx, "grouped", "state", "open")
	if l := line(t, out); !strings.Contains(toJSON(t, l), `"trace_id":"`+traceA+`"`) {
		t.Errorf("line of a logger with a group: %v", l)
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestALineWrittenOutsideASpanHasNoIDs(t *testing.T) {
	out := logged(t, "json", slog.LevelInfo)
	slog.Info("serving")
	l := line(t, out)
	if _, ok := l["trace_id"]; ok || l["span_id"] != nil || l["msg"] != "serving" {
		t.Errorf("line %v", l)
	}
}

func TestLevelAndFormatAreAsChosen(t *testing.T) {
	out := logged(t, "text", slog.LevelWarn)
	slog.Info("too quiet")
	slog.WarnContext(extract(t.Context(), recordedA), "loud")
	if got := out.String(); strings.Contains(got, "too quiet") || !strings.Contains(got, "msg=loud service=vote trace_id="+traceA) {
		t.Errorf("written: %s", got)
	}
}

func TestTraceIDIsEmptyWithoutATrace(t *testing.T) {
	if got := TraceID(t.Context()); got != "" {
		t.Errorf("without: %q", got)
	}
	if got := TraceID(extract(t.Context(), unrecorded)); got != unrecorded.TraceID() {
		t.Errorf("of a trace that is not recorded: %q", got)
	}
	if got := TraceID(trace.ContextWithSpanContext(t.Context(), trace.SpanContext{})); got != "" {
		t.Errorf("of no span: %q", got)
	}
}
