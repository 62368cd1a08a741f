package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"petvote/shared/lifecycle"
)

// collector starts a collector that counts the exports it gets.
func collector(t *testing.T) (url string, deliveries *atomic.Int32) {
	t.Helper()
	deliveries = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil && r.URL.Path == "/v1/traces" {
			deliveries.Add(1)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	return server.URL, deliveries
}

// oneSpan starts telemetry, makes one span, and shuts it down.
func oneSpan(t *testing.T) trace.Span {
	t.Helper()
	tel := must(Start(t.Context(), "test", false))
	_, span := tel.tracer.Start(t.Context(), "something")
	span.End()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	return span
}

func TestWithoutAnEndpointThereAreIDsAndNothingIsRecorded(t *testing.T) {
	tel := started(t)
	ctx, span := tel.tracer.Start(extract(t.Context(), recordedA), "something")
	defer span.End()
	if span.IsRecording() || span.SpanContext().IsSampled() || TraceID(ctx) != traceA {
		t.Errorf("recording %v, sampled %v, trace %q", span.IsRecording(), span.SpanContext().IsSampled(), TraceID(ctx))
	}
	ctx, span = tel.tracer.Start(t.Context(), "something")
	defer span.End()
	if handedOn := inject(span.SpanContext()); span.IsRecording() || len(TraceID(ctx)) != 32 || handedOn.Sampled() {
		t.Errorf("recording %v, trace %q, handed on %+v", span.IsRecording(), TraceID(ctx), handedOn)
	}
}

func TestSpansAreExportedOnlyIfTheVariablesSaySo(t *testing.T) {
	url, deliveries := collector(t)
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, c := range []struct {
		name     string
		env      map[string]string
		exported bool
	}{
		{"an endpoint", map[string]string{endpoint: url}, true},
		{"for traces", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url + "/v1/traces"}, true},
		{"none", nil, false},
		{"exporter none", map[string]string{endpoint: url, "OTEL_TRACES_EXPORTER": "none"}, false},
		{"SDK disabled", map[string]string{endpoint: url, "OTEL_SDK_DISABLED": "true"}, false},
		{"nothing sampled", map[string]string{endpoint: url, "OTEL_TRACES_SAMPLER": "always_off"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			started(t) // clears the environment
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			deliveries.Store(0)
			span := oneSpan(t)
			got, sc := deliveries.Load() == 1, span.SpanContext()
			if got != c.exported || sc.IsSampled() != c.exported || !sc.IsValid() {
				t.Errorf("%d deliveries, context %+v", deliveries.Load(), sc)
			}
		})
	}
}

func TestAHangingCollectorDoesNotDelayAStop(t *testing.T) {
	started(t)
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(func() { close(hang); server.Close() })
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	start := time.Now()
	oneSpan(t)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("stopping took %v, want about %v", took, flushTimeout)
	}
}

func TestTheProcessAndGarbageCollectionAreMeasured(t *testing.T) {
	tel := started(t)
	for _, metric := range []string{"process_start_time_seconds ", "process_cpu_seconds_total ",
		"process_resident_memory_bytes ", "process_open_fds ", "go_gc_duration_seconds_sum ", "go_goroutine_count ",
		"go_memory_allocated_bytes_total "} {
		if found := scrape(t, tel, metric); len(found) != 1 {
			t.Errorf("%s: %v", metric, found)
		}
	}
}

func TestMetricsAndResourceSayWhichBuildRuns(t *testing.T) {
	tel, build := started(t), lifecycle.ThisBuild()
	wantMetric(t, tel, fmt.Sprintf(`petvote_build_info{goversion=%q,revision=%q,version=%q} 1`,
		build.Go, build.Revision, build.Version))
	want := fmt.Sprintf("service_version=%q", build.Version)
	if found := scrape(t, tel, "target_info{"); len(found) != 1 || !strings.Contains(found[0], want) {
		t.Errorf("the resource is %q, want %s in it", found, want)
	}
}

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
	slog.InfoContext(ctx, "vote refused", "error", errUnavailable)
	if l := line(t, out); l["trace_id"] != traceA || l["span_id"] != parentA || l["service"] != "vote" ||
		l["error"] != errUnavailable.Error() || l["msg"] != "vote refused" {
		t.Errorf("line %v", l)
	}
	slog.Info("serving")
	if l := line(t, out); l["trace_id"] != nil || l["span_id"] != nil || l["msg"] != "serving" {
		t.Errorf("line outside a span: %v", l)
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
