package telemetry

import (
	"fmt"
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"
)

// HTTP traces and measures requests, named by method and route, and tells the caller the trace in a traceresponse
// header (https://w3c.github.io/trace-context/#traceresponse-header). next must be or wrap an http.ServeMux.
func (t *Telemetry) HTTP(next http.Handler) http.Handler {
	return otelhttp.NewHandler(traceResponse(next), "",
		otelhttp.WithTracerProvider(t.traces), otelhttp.WithMeterProvider(t.meters), otelhttp.WithPropagators(t.propagator),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			if r.Pattern != "" {
				return r.Pattern
			}
			return r.Method
		}),
		otelhttp.WithFilter(func(r *http.Request) bool { return !probe(r.URL.Path) }))
}

// probe says whether a path is asked all the time by machines that nobody wants to see.
func probe(path string) bool { return path == "/healthz" || path == "/readyz" }

func traceResponse(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if span := trace.SpanContextFromContext(r.Context()); span.IsValid() {
			w.Header().Set("traceresponse", fmt.Sprintf("00-%s-%s-%s", span.TraceID(), span.SpanID(), span.TraceFlags()))
		}
		next.ServeHTTP(w, r)
	})
}
