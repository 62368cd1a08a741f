package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
)

func TestStandardVariablesAreObeyedOrNamed(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"
	for _, c := range []struct {
		environ     string // separated by spaces
		exporter    string
		share       float64
		parentBased bool
		named       string // the variables in the problems
	}{
		{"", "", 1, true, ""},
		{"HOME=/root PATH=/bin OTEL_EXPORTER_OTLP_ENDPOINT=", "", 1, true, ""},
		{endpoint, "otlp", 1, true, ""},
		{endpoint + "/ OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "otlp", 1, true, ""},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://collector/v1/traces", "otlp", 1, true, ""},
		{endpoint + " OTEL_SDK_DISABLED=true", "", 1, true, ""},
		{endpoint + " OTEL_SDK_DISABLED=True", "", 1, true, ""},
		{endpoint + " OTEL_SDK_DISABLED=FALSE", "otlp", 1, true, ""},
		{endpoint + " OTEL_SDK_DISABLED=yes", "otlp", 1, true, "OTEL_SDK_DISABLED"},
		{endpoint + " OTEL_TRACES_EXPORTER=none", "", 1, true, ""},
		{"OTEL_TRACES_EXPORTER=otlp", "otlp", 1, true, ""}, // to the standard's address
		{"OTEL_TRACES_EXPORTER=Console", "console", 1, true, ""},
		{endpoint + " OTEL_TRACES_EXPORTER=zipkin", "otlp", 1, true, "OTEL_TRACES_EXPORTER"},
		{endpoint + " OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "otlp", 1, true, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		{endpoint + " OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json", "otlp", 1, true, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318", "", 1, true, "OTEL_EXPORTER_OTLP_ENDPOINT"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=10.0.0.7:4318", "", 1, true, "OTEL_EXPORTER_OTLP_ENDPOINT"},
		{endpoint + " OTEL_EXPORTER_OTLP_COMPRESSION=zstd OTEL_EXPORTER_OTLP_INSECURE=1", "otlp", 1, true,
			"OTEL_EXPORTER_OTLP_COMPRESSION OTEL_EXPORTER_OTLP_INSECURE"},
		{endpoint + " OTEL_BSP_SCHEDULE_DELAY=5s OTEL_BSP_MAX_QUEUE_SIZE=64", "otlp", 1, true, "OTEL_BSP_SCHEDULE_DELAY"},
		{"OTEL_TRACES_SAMPLER=always_on", "", 1, false, ""},
		{"OTEL_TRACES_SAMPLER=PARENTBASED_always_off", "", 0, true, ""},
		{"OTEL_TRACES_SAMPLER=parentbased_traceidratio OTEL_TRACES_SAMPLER_ARG=0.25", "", 0.25, true, ""},
		{"OTEL_TRACES_SAMPLER=traceidratio", "", 1, false, ""},
		{"OTEL_TRACES_SAMPLER=traceidratio OTEL_TRACES_SAMPLER_ARG=many", "", 1, false, "OTEL_TRACES_SAMPLER_ARG"},
		{"OTEL_TRACES_SAMPLER=traceidratio OTEL_TRACES_SAMPLER_ARG=2", "", 1, false, "OTEL_TRACES_SAMPLER_ARG"},
		{"OTEL_TRACES_SAMPLER=traceidratio OTEL_TRACES_SAMPLER_ARG=NaN", "", 1, false, "OTEL_TRACES_SAMPLER_ARG"},
		{"OTEL_TRACES_SAMPLER=jaeger_remote", "", 1, true, "OTEL_TRACES_SAMPLER"},
		{"OTEL_PROPAGATORS=tracecontext,baggage", "", 1, true, ""},
		{"OTEL_PROPAGATORS=b3,solar", "", 1, true, "OTEL_PROPAGATORS"},
		{"OTEL_METRICS_EXPORTER=prometheus OTEL_LOGS_EXPORTER=none", "", 1, true, ""},
		{"OTEL_METRICS_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp", "", 1, true, "OTEL_LOGS_EXPORTER OTEL_METRICS_EXPORTER"},
		{"OTEL_CONFIG_FILE=/etc/otel.yaml OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://c", "", 1, true,
			"OTEL_CONFIG_FILE OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"},
	} {
		e := readEnvironment(strings.Fields(c.environ))
		var named []string
		for _, p := range e.problems {
			name, _, _ := strings.Cut(p, "=")
			named = append(named, name)
		}
		if e.exporter != c.exporter || e.share != c.share || e.parentBased != c.parentBased ||
			strings.Join(named, " ") != c.named || e.propagator == nil {
			t.Errorf("%s: %+v", c.environ, e)
		}
	}
}

// complaints starts telemetry with variables and returns what it logs at warning level or above.
func complaints(t *testing.T, environ ...string) (*Telemetry, string) {
	t.Helper()
	var log bytes.Buffer
	previous := slog.Default()
	t.Cleanup(func() { slog.SetDefault(previous) })
	slog.SetDefault(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	return started(t, environ...), log.String()
}

func TestNoSettingEndsAService(t *testing.T) {
	for _, variable := range []string{
		"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=lab,", "OTEL_RESOURCE_ATTRIBUTES=a=1,,b=2",
		"OTEL_RESOURCE_ATTRIBUTES=team", "OTEL_RESOURCE_ATTRIBUTES=a=%zz", "OTEL_PROPAGATORS=solar",
		"OTEL_TRACES_EXPORTER=fax", "OTEL_SDK_DISABLED=maybe", "OTEL_BSP_MAX_QUEUE_SIZE=-5", "OTEL_UNKNOWN=1",
		"OTEL_EXPORTER_OTLP_ENDPOINT=::", "OTEL_EXPORTER_OTLP_CERTIFICATE=/does/not/exist",
		"OTEL_EXPORTER_OTLP_HEADERS=;;", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=lots",
		"OTEL_TRACES_SAMPLER=foo", "OTEL_TRACES_SAMPLER_ARG=many",
	} {
		name, _, _ := strings.Cut(variable, "=")
		tel, log := complaints(t, "OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=traceidratio", variable)
		if !strings.Contains(log, name) && !strings.Contains(log, "/does/not/exist") && !strings.Contains(log, "header") {
			t.Errorf("%s: logged %q", variable, log)
		}
		if lines := strings.Count(log, "\n"); lines != 1 {
			t.Errorf("%s: logged in %d lines: %s", variable, lines, log)
		}
		if _, span := tel.tracer.Start(t.Context(), "something"); !span.SpanContext().IsValid() {
			t.Errorf("%s: no trace", variable)
		}
	}
}

// through sends a request with a header through the instrumented handler and returns the handler's context.
func through(tel *Telemetry, header, value string) (ctx context.Context) {
	handler := tel.HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() }))
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/vote", nil)
	r.Header.Set(header, value)
	handler.ServeHTTP(httptest.NewRecorder(), r)
	return ctx
}

func TestTheCallersTraceComesByTheConfiguredPropagators(t *testing.T) {
	for _, c := range []struct {
		propagators, header, value string
		taken                      bool
	}{
		{"", "traceparent", recordedA.Parent, true},
		{"", "b3", traceA + "-" + parentA + "-1", false},
		{"b3", "b3", traceA + "-" + parentA + "-1", true},
		{"b3", "traceparent", recordedA.Parent, false},
		{"tracecontext,b3multi", "traceparent", recordedA.Parent, true},
		{"jaeger", "uber-trace-id", traceA + ":" + parentA + ":0:1", true},
		{"none", "traceparent", recordedA.Parent, false},
		{"solar", "traceparent", recordedA.Parent, true},
	} {
		sc := trace.SpanContextFromContext(through(started(t, "OTEL_PROPAGATORS="+c.propagators), c.header, c.value))
		if taken := sc.TraceID().String() == traceA; taken != c.taken || !sc.IsValid() {
			t.Errorf("OTEL_PROPAGATORS=%s, %s: %s: taken %v", c.propagators, c.header, c.value, taken)
		}
	}
}

// Else any client could have all its requests traced, which costs far more than to answer them.
func TestTheSampledFlagOfAStrangerIsBelievedOnlyIfASettingSaysSo(t *testing.T) {
	url, _ := collector(t)
	const low, high = "4bf92f3577b34da60000000000000001", "4bf92f3577b34da6fffffffffffffffe" // within 1 % and not
	for _, c := range []struct {
		trust, sampled bool
		trace          string
		want           bool
	}{
		{false, true, high, false}, {false, true, low, true}, {false, false, low, false},
		{true, true, high, true}, {true, true, low, true}, {true, false, low, false},
	} {
		for name, value := range map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": url,
			"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"} {
			t.Setenv(name, value)
		}
		tel := must(Start(t.Context(), "test", c.trust))
		flag := map[bool]int{true: 1}[c.sampled]
		parent := fmt.Sprintf("00-%s-%s-%02d", c.trace, parentA, flag)
		sc := trace.SpanContextFromContext(through(tel, "traceparent", parent))
		if sc.IsSampled() != c.want || sc.TraceID().String() != c.trace {
			t.Errorf("%+v: sampled %v in trace %s", c, sc.IsSampled(), sc.TraceID())
		}
		// What the queue hands on was decided by the service that accepted the vote.
		if _, span := tel.tracer.Start(extract(t.Context(), recordedA), "process"); !span.SpanContext().IsSampled() {
			t.Errorf("%+v: a sampled trace from the queue is not recorded", c)
		}
		if err := tel.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestAStrangersBaggageIsNotRead(t *testing.T) {
	for _, propagators := range []string{"", "tracecontext,baggage"} {
		ctx := through(started(t, "OTEL_PROPAGATORS="+propagators), "baggage", "member=strange")
		if b := baggage.FromContext(ctx); b.Len() > 0 {
			t.Errorf("OTEL_PROPAGATORS=%s: read %s", propagators, b)
		}
	}
}
