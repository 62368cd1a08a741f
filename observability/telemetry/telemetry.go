// Package telemetry is where OpenTelemetry is set up, and where the decorators are that trace and measure what the
// services do. Each decorator wraps a small interface: time, call, emit, and nothing else; what is wrapped knows none
// of it. Names follow OpenTelemetry's semantic conventions.
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
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"petvote/shared/lifecycle"
)

// scope names the instrumentation in what it emits.
const scope = "petvote/observability/telemetry"

// Telemetry is one service's tracing and metrics.
type Telemetry struct {
	traces     trace.TracerProvider
	meters     *sdkmetric.MeterProvider
	tracer     trace.Tracer
	pages      trace.Tracer // of spans that pages report; nil where nothing is exported
	meter      metric.Meter
	propagator propagation.TextMapPropagator
	registry   *prometheus.Registry
	shutdown   []func(context.Context) error
}

// complainEvery is between two complaints about telemetry that can't be delivered, which a collector that is away would
// otherwise cause every second.
const complainEvery = time.Minute

// Start sets up a service's telemetry. The standard OTEL_* variables of the process's environment apply: without an
// OTLP endpoint nothing is exported and no trace recorded, but every trace still has its ids. Metrics are read by
// [Telemetry.Metrics].
func Start(ctx context.Context, service string) (*Telemetry, error) {
	// Whatever in the libraries has no way to return its error, such as an export that failed.
	sometimes := rate.Sometimes{First: 1, Interval: complainEvery}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		sometimes.Do(func() { slog.Warn("telemetry is not delivered", "error", err) })
	}))
	res, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceNamespace("petvote"),
			semconv.ServiceVersion(lifecycle.ThisBuild().Version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("start telemetry: %w", err)
	}
	t := &Telemetry{
		propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
		registry:   prometheus.NewRegistry(),
	}
	if err := t.startTraces(ctx, res); err != nil {
		return nil, fmt.Errorf("start telemetry: %w", err)
	}
	if err := t.startMetrics(res); err != nil {
		return nil, fmt.Errorf("start telemetry: %w", errors.Join(err, t.Shutdown(ctx)))
	}
	return t, nil
}

// Spans wait up to sendAfter, so that a person who looks for a trace finds it soon. spanQueue holds those of some thousand
// votes; what does not fit is dropped, never waited for.
const (
	spanQueue = 16_384
	sendAfter = time.Second
)

func (t *Telemetry) startTraces(ctx context.Context, res *resource.Resource) error {
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)}
	if exporting() {
		exporter, err := otlptracehttp.New(ctx)
		if err != nil {
			return fmt.Errorf("make trace exporter: %w", err)
		}
		var batching []sdktrace.BatchSpanProcessorOption
		if os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE") == "" {
			batching = append(batching, sdktrace.WithMaxQueueSize(spanQueue))
		}
		if os.Getenv("OTEL_BSP_SCHEDULE_DELAY") == "" {
			batching = append(batching, sdktrace.WithBatchTimeout(sendAfter))
		}
		batcher := sdktrace.NewBatchSpanProcessor(exporter, batching...)
		options = append(options, sdktrace.WithSpanProcessor(batcher))
		if t.pages, err = pageTracer(batcher); err != nil {
			return err
		}
	} else {
		options = append(options, sdktrace.WithSampler(sdktrace.NeverSample()))
	}
	provider := sdktrace.NewTracerProvider(options...)
	t.traces, t.tracer = provider, provider.Tracer(scope)
	t.shutdown = append(t.shutdown, provider.Shutdown)
	return nil
}

// pageTracer makes the tracer of the service "browser". A page has decided about its trace's sampling before it reports.
// The processor belongs to the service's own provider, which shuts it down.
func pageTracer(batcher sdktrace.SpanProcessor) (trace.Tracer, error) {
	res, err := resource.New(context.Background(), resource.WithAttributes(semconv.ServiceName("browser"), semconv.ServiceNamespace("petvote")))
	if err != nil {
		return nil, fmt.Errorf("describe pages: %w", err)
	}
	return sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSpanProcessor(batcher),
		sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithIDGenerator(pageIDs{})).Tracer(scope), nil
}

// exporting says whether the standard variables name a place to send traces to.
func exporting() bool {
	if os.Getenv("OTEL_SDK_DISABLED") == "true" || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

func (t *Telemetry) startMetrics(res *resource.Resource) error {
	exporter, err := otelprom.New(otelprom.WithRegisterer(t.registry), otelprom.WithoutScopeInfo())
	if err != nil {
		return fmt.Errorf("make metrics exporter: %w", err)
	}
	t.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithResource(res), sdkmetric.WithView(views...))
	t.meter = t.meters.Meter(scope)
	t.shutdown = append(t.shutdown, t.meters.Shutdown)
	if err := runtime.Start(runtime.WithMeterProvider(t.meters)); err != nil {
		return fmt.Errorf("measure the runtime: %w", err)
	}
	// What OpenTelemetry's runtime metrics leave out: when the process began, its CPU, memory and files as the kernel counts
	// them, and the pauses of the garbage collector.
	t.registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled()), buildInfo())
	return nil
}

func buildInfo() prometheus.Collector {
	build := lifecycle.ThisBuild()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "petvote_build_info", Help: "1, with what the program was built from in the labels.",
		ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.Revision, "goversion": build.Go},
	}, func() float64 { return 1 })
}

// views keep of the HTTP metrics what the service chooses: not the Host header, which a client could make up anew for
// each request, and not the sizes of bodies.
var views = []sdkmetric.View{
	sdkmetric.NewView(sdkmetric.Instrument{Name: "http.server.*.body.size"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}),
	sdkmetric.NewView(sdkmetric.Instrument{Name: "http.server.request.duration"}, sdkmetric.Stream{
		AttributeFilter: attribute.NewAllowKeysFilter(semconv.HTTPRequestMethodKey, semconv.HTTPRouteKey,
			semconv.HTTPResponseStatusCodeKey, semconv.ErrorTypeKey),
		ExemplarReservoirProviderSelector: bareExemplars,
	}),
}

// bareExemplars are exemplars with the trace's ids alone. As they come they carry all that a view has filtered out, which
// is more than Prometheus takes.
func bareExemplars(a sdkmetric.Aggregation) exemplar.ReservoirProvider {
	provide := sdkmetric.DefaultExemplarReservoirProviderSelector(a)
	return func(attrs attribute.Set) exemplar.Reservoir { return bareReservoir{provide(attrs)} }
}

type bareReservoir struct{ exemplar.Reservoir }

func (r bareReservoir) Offer(ctx context.Context, at time.Time, v exemplar.Value, _ []attribute.KeyValue) {
	r.Reservoir.Offer(ctx, at, v, nil)
}

// Metrics answers a scrape by Prometheus.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// flushWithin bounds the last delivery, so that a collector that is away does not hold up a stop.
const flushWithin = time.Second

// Shutdown sends what is still to be sent, and comes after everything that emits. What can't be delivered any more is
// told in the log and is no failure of the service.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	for _, stop := range t.shutdown {
		if err := stop(ctx); err != nil {
			slog.Warn("telemetry is not delivered", "error", err)
		}
	}
	return nil
}

// PgxTracer traces statements that run inside a recorded span.
func (t *Telemetry) PgxTracer() pgx.QueryTracer {
	return otelpgx.NewTracer(otelpgx.WithTracerProvider(t.traces), otelpgx.WithMeterProvider(t.meters),
		otelpgx.WithSpanNameFunc(statementName), otelpgx.WithDisableAcquireTracer())
}

// statementName is the comment that a long statement begins with, or else a statement's first word.
func statementName(statement string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(statement), "\n")
	if name, ok := strings.CutPrefix(line, "-- "); ok {
		return name
	}
	word, _, _ := strings.Cut(line, " ")
	return strings.ToUpper(word)
}
