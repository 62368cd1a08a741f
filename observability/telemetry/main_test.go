package telemetry

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
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

// must returns what a function returned that must not fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// started starts telemetry with no other variables set for it than these.
func started(t *testing.T, environ ...string) *Telemetry {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	tel := must(Start(t.Context(), "test", false))
	t.Cleanup(func() {
		if err := tel.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return tel
}

// recording starts telemetry that samples as with an endpoint and keeps the spans for the test.
func recording(t *testing.T) (*Telemetry, *spans) {
	t.Helper()
	tel, s := started(t), &spans{SpanRecorder: tracetest.NewSpanRecorder()}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s))
	tel.traces, tel.public, tel.tracer = provider, provider, provider.Tracer(scope)
	return tel, s
}

// spans holds the ended spans.
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

// parents returns the parents' ids of the spans of a name, by their traces' ids.
func (s *spans) parents(name string) map[string]string {
	parents := map[string]string{}
	for _, span := range s.named(name) {
		parents[span.SpanContext().TraceID().String()] = span.Parent().SpanID().String()
	}
	return parents
}

// links returns the texts of the contexts that a span is linked to.
func links(span sdktrace.ReadOnlySpan) []string {
	var texts []string
	for _, l := range span.Links() {
		texts = append(texts, contextOf(l.SpanContext))
	}
	return texts
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

// The traces of messages: two that are sampled and one that is not.
const (
	traceA, parentA = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	traceB, parentB = "5bf92f3577b34da6a3ce929d0e0e4737", "10f067aa0ba902b8"
)

var (
	recordedA  = tracecontext.TraceContext{Parent: "00-" + traceA + "-" + parentA + "-01", State: "vendor=a"}
	recordedB  = tracecontext.TraceContext{Parent: "00-" + traceB + "-" + parentB + "-01"}
	unrecorded = tracecontext.TraceContext{Parent: "00-6bf92f3577b34da6a3ce929d0e0e4738-20f067aa0ba902b9-00"}

	bothParents = map[string]string{traceA: parentA, traceB: parentB}
)

// scrape returns the lines of the metrics with a prefix.
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

// wantMetric checks that a scrape has these lines, each with name, labels and value.
func wantMetric(t *testing.T, tel *Telemetry, lines ...string) {
	t.Helper()
	for _, line := range lines {
		name := line[:strings.IndexAny(line, "{ ")]
		if found := scrape(t, tel, name); !slices.Contains(found, line) {
			t.Errorf("no metric %s among\n%s", line, strings.Join(found, "\n"))
		}
	}
}
