package telemetry

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

// logged sets the process's logger for one test and returns its output.
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
	if l := line(t, out); l["trace_id"] != traceA || l["span_id"] != parentA || l["service"] != "vote" ||
		l["error"] != errAway.Error() || l["msg"] != "vote refused" {
		t.Errorf("line %v", l)
	}
	slog.With("consumer", 1).InfoContext(ctx, "derived")
	if l := line(t, out); l["trace_id"] != traceA || l["consumer"] != 1.0 {
		t.Errorf("line of a derived logger: %v", l)
	}
	slog.Default().WithGroup("redis").InfoContext(ctx, "grouped", "state", "open")
	if text := out.String(); !strings.Contains(text, `"trace_id":"`+traceA+`"`) {
		t.Errorf("line of a logger with a group: %s", text)
	}
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
	want := "msg=loud service=vote trace_id=" + traceA
	if got := out.String(); strings.Contains(got, "too quiet") || !strings.Contains(got, want) {
		t.Errorf("written: %s", got)
	}
}

func TestTraceIDIsEmptyWithoutATrace(t *testing.T) {
	if got := TraceID(t.Context()); got != "" {
		t.Errorf("without: %q", got)
	}
	if got := TraceID(extract(t.Context(), unrecorded)); got != unrecorded.TraceID() {
		t.Errorf("of an unsampled trace: %q", got)
	}
}
