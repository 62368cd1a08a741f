// Package telemetry sets up OpenTelemetry and holds the decorators that trace and measure the services. A decorator
// wraps one function: time, call, emit, and nothing else; the wrapped code knows none of it. Names follow
// OpenTelemetry's semantic conventions.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"petvote/shared/config"
	"petvote/shared/lifecycle"
	"petvote/shared/resilience"
)

// scope is the name of this instrumentation.
const scope = "petvote/observability/telemetry"

// Telemetry is one service's tracing and metrics.
type Telemetry struct {
	env      environment
	traces   *sdktrace.TracerProvider
	public   *sdktrace.TracerProvider // of requests from strangers; shares the exporter of traces
	meters   *sdkmetric.MeterProvider
	tracer   trace.Tracer
	pages    trace.Tracer // of the spans that pages report; nil if nothing is exported
	meter    metric.Meter
	requests metric.Float64Histogram // durations
	registry *prometheus.Registry
}

// StartService starts a service's logging and telemetry. The clean-up exports what is left.
func StartService(ctx context.Context, name string, cfg config.Service, cleanups *lifecycle.Cleanups) (
	*Telemetry, resilience.Listener, error,
) {
	Log(os.Stdout, name, string(cfg.LogFormat), slog.Level(cfg.LogLevel))
	t, err := Start(ctx, name, cfg.TrustTraceparent)
	if err != nil {
		return nil, nil, err
	}
	cleanups.Add("telemetry", t.Shutdown)
	listener, err := t.PolicyListener()
	return t, listener, err
}

// Start sets up a service's telemetry from the standard OTEL_* variables of the process's environment. Without an
// exporter no trace is recorded, but every trace still has its ids. Callers of the public port decide about the
// sampling of their requests only if they are trusted. [Telemetry.Metrics] serves the metrics.
func Start(ctx context.Context, service string, trustCallers bool) (*Telemetry, error) {
	otel.SetLogger(logr.FromSlogHandler(slog.Default().Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { slog.Warn("telemetry", "error", err) }))
	t := &Telemetry{registry: prometheus.NewRegistry(), env: readEnvironment(os.Environ())}
	for name, value := range t.env.corrected {
		if err := os.Setenv(name, value); err != nil {
			return nil, fmt.Errorf("start telemetry: %w", err)
		}
	}
	res, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceNamespace("petvote"),
			semconv.ServiceVersion(lifecycle.ThisBuild().Version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil { // what could be read is in it
		t.env.problems = append(t.env.problems, "resource: "+err.Error())
	}
	t.startTraces(ctx, res, trustCallers)
	if len(t.env.problems) > 0 {
		slog.WarnContext(ctx, "telemetry settings are not obeyed", "problems", t.env.problems)
	}
	if err := t.startMetrics(res); err != nil {
		return nil, fmt.Errorf("start telemetry: %w", errors.Join(err, t.traces.Shutdown(ctx)))
	}
	// From here on it gets the errors of exports in the background: one each second while a collector is down.
	sometimes := rate.Sometimes{First: 1, Interval: time.Minute}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		sometimes.Do(func() { slog.Warn("telemetry export failed", "error", err) })
	}))
	return t, nil
}

func (t *Telemetry) startTraces(ctx context.Context, res *resource.Resource, trustCallers bool) {
	exporter, err := t.env.newExporter(ctx)
	if err != nil {
		t.env.problems = append(t.env.problems, "no trace exporter: "+err.Error())
		t.env.exporter = ""
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)}
	if t.env.exporter != "" {
		var batching []sdktrace.BatchSpanProcessorOption
		if os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE") == "" { // for several thousand votes; what does not fit is dropped
			batching = append(batching, sdktrace.WithMaxQueueSize(16_384))
		}
		if os.Getenv("OTEL_BSP_SCHEDULE_DELAY") == "" { // so that a new trace can soon be found
			batching = append(batching, sdktrace.WithBatchTimeout(time.Second))
		}
		export := sdktrace.WithSpanProcessor(sdktrace.NewBatchSpanProcessor(exporter, batching...))
		options = append(options, export)
		// Pages decide about sampling before they report. The service's own provider shuts the processor down.
		t.pages = sdktrace.NewTracerProvider(export, sdktrace.WithSampler(sdktrace.AlwaysSample()),
			sdktrace.WithIDGenerator(pageIDs{}), sdktrace.WithResource(resource.NewSchemaless(
				semconv.ServiceName("browser"), semconv.ServiceNamespace("petvote")))).Tracer(scope)
	}
	t.traces = sdktrace.NewTracerProvider(append(options, sdktrace.WithSampler(t.env.sampler(true)))...)
	t.public = sdktrace.NewTracerProvider(append(options, sdktrace.WithSampler(t.env.sampler(trustCallers)))...)
	t.tracer = t.traces.Tracer(scope)
}

func (e environment) newExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	switch e.exporter {
	case "otlp":
		return otlptracehttp.New(ctx)
	case "console":
		return stdouttrace.New()
	default:
		return nil, nil
	}
}

func (t *Telemetry) startMetrics(res *resource.Resource) error {
	exporter, err := otelprom.New(otelprom.WithRegisterer(t.registry), otelprom.WithoutScopeInfo())
	if err != nil {
		return fmt.Errorf("create metrics exporter: %w", err)
	}
	t.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithResource(res))
	t.meter = t.meters.Meter(scope)
	i := t.instruments()
	t.requests = i.histogram("http.server.request.duration", "s", "Duration of HTTP server requests.", answers)
	if err := runtime.Start(runtime.WithMeterProvider(t.meters)); err != nil {
		return fmt.Errorf("measure the runtime: %w", err)
	}
	// OpenTelemetry's runtime metrics lack the process's start time, the garbage collector's pauses, and CPU, memory and
	// files as counted by the kernel.
	t.registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled()), buildInfo())
	return i.err()
}

func buildInfo() prometheus.Collector {
	build := lifecycle.ThisBuild()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "petvote_build_info", Help: "1, with the build in the labels.",
		ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.Revision, "goversion": build.Go},
	}, func() float64 { return 1 })
}

// Metrics serves the metrics to Prometheus.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// flushTimeout bounds the last export, so that an unreachable collector does not delay a stop.
const flushTimeout = time.Second

// Shutdown exports what is left, so it must run after everything that emits. A failed export is only logged.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := errors.Join(t.traces.Shutdown(ctx), t.meters.Shutdown(ctx)); err != nil {
		slog.Warn("telemetry export failed", "error", err)
	}
	return nil
}

// PgxTracer traces statements that run inside a recorded span.
func (t *Telemetry) PgxTracer() pgx.QueryTracer {
	return otelpgx.NewTracer(otelpgx.WithTracerProvider(t.traces), otelpgx.WithMeterProvider(t.meters),
		otelpgx.WithSpanNameFunc(statementName), otelpgx.WithDisableAcquireTracer())
}

// statementName is the comment at the start of a statement, or else its first word.
func statementName(statement string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(statement), "\n")
	if name, ok := strings.CutPrefix(line, "-- "); ok {
		return name
	}
	word, _, _ := strings.Cut(line, " ")
	return strings.ToUpper(word)
}
