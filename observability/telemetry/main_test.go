package telemetry

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"petvote/shared/tracecontext"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started is a service's telemetry under an environment that says nothing of it.
func started(t *testing.T) *Telemetry {
	t.Helper()
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_ENDPOINT",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"} {
		t.Setenv(name, "")
	}
	tel, err := Start(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return tel
}

// recording is telemetry whose spans a test can look at, sampled as with an endpoint.
func recording(t *testing.T) (*Telemetry, *spans) {
	t.Helper()
	tel, s := started(t), &spans{SpanRecorder: tracetest.NewSpanRecorder()}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s))
	tel.traces, tel.tracer = provider, provider.Tracer(scope)
	return tel, s
}

// spans are those that have ended.
type spans struct{ *tracetest.SpanRecorder }

func (s *spans) named(name string) []sdktrace.ReadOnlySpan {
	var found []sdktrace.ReadOnlySpan
	for _, span := range s.Ended() {
		if span.Name() == name {
			found = append(found, span)
		}
	}
	return found
}

// only returns the one span of a name.
func (s *spans) only(t *testing.T, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	found := s.named(name)
	if len(found) != 1 {
		t.Fatalf("%d spans %q among %d, want one", len(found), name, len(s.Ended()))
	}
	return found[0]
}

func attributeOf(attrs []attribute.KeyValue, key string) string {
	for _, a := range attrs {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

func events(span sdktrace.ReadOnlySpan) []string {
	var names []string
	for _, e := range span.Events() {
		names = append(names, e.Name)
	}
	return names
}

// contextOf is the text form of a span's context.
func contextOf(sc trace.SpanContext) string {
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String()
}

// The traces that messages bring along: two that are recorded and one that is not.
const (
	traceA, parentA = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	traceB, parentB = "5bf92f3577b34da6a3ce929d0e0e4737", "10f067aa0ba902b8"
)

var (
	recordedA  = tracecontext.TraceContext{Parent: "00-" + traceA + "-" + parentA + "-01", State: "vendor=a"}
	recordedB  = tracecontext.TraceContext{Parent: "00-" + traceB + "-" + parentB + "-01"}
	unrecorded = tracecontext.TraceContext{Parent: "00-6bf92f3577b34da6a3ce929d0e0e4738-20f067aa0ba902b9-00"}
)

// scrape returns the lines of the metrics that begin so.
func scrape(t *testing.T, tel *Telemetry, prefix string) []string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	var found []string
	for line := range bytes.Lines(w.Body.Bytes()) {
		if text := strings.TrimSpace(string(line)); strings.HasPrefix(text, prefix) {
			found = append(found, text)
		}
	}
	return found
}

// wantMetric checks that there is exactly this line, name and labels and value.
func wantMetric(t *testing.T, tel *Telemetry, lines ...string) {
	t.Helper()
	for _, line := range lines {
		name := line[:strings.IndexAny(line, "{ ")]
		if found := scrape(t, tel, name); !slices.Contains(found, line) {
			t.Errorf("no metric %s among\n%s", line, strings.Join(found, "\n"))
		}
	}
}
