package telemetry

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// HTTP traces and measures requests, named by method and route, and returns the trace in a traceresponse header
// (https://w3c.github.io/trace-context/#traceresponse-header). next must be or wrap an http.ServeMux.
func (t *Telemetry) HTTP(next http.Handler) http.Handler {
	return suppressPolling(otelhttp.NewHandler(routeAndResponse(next), "",
		otelhttp.WithTracerProvider(t.public), otelhttp.WithMeterProvider(t.meters),
		otelhttp.WithPropagators(t.env.propagator),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return cmp.Or(r.Pattern, r.Method) }),
		otelhttp.WithFilter(func(r *http.Request) bool { return !isProbe(r.URL.Path) })))
}

// suppressPolling keeps polling requests from being traced unless the caller sends a trace: they would drown out the
// votes. They are still measured.
func suppressPolling(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isPolling(r.URL.Path) { // a parent that is not sampled, which one that the caller sends replaces
			var ids trace.SpanContextConfig
			_, _ = rand.Read(ids.TraceID[:]) // never fails
			_, _ = rand.Read(ids.SpanID[:])
			r = r.WithContext(trace.ContextWithRemoteSpanContext(r.Context(), trace.NewSpanContext(ids)))
		}
		next.ServeHTTP(w, r)
	})
}

// isPolling is true for what pages request by themselves.
func isPolling(path string) bool {
	return path == "/api/tally" || path == "/api/history" ||
		strings.HasPrefix(path, "/votes/") || strings.HasPrefix(path, "/static/")
}

// isProbe is true for health probes and for the pages' reports: neither is traced or measured.
func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" || path == "/spans" }

// routeAndResponse sets the header before the handler writes, and the route, which only the mux inside knows, after.
func routeAndResponse(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		span := trace.SpanFromContext(r.Context())
		if sc := span.SpanContext(); sc.IsValid() {
			w.Header().Set("traceresponse", parentOf(sc))
		}
		next.ServeHTTP(w, r)
		if _, route, ok := strings.Cut(r.Pattern, " "); ok {
			span.SetAttributes(semconv.HTTPRoute(route))
		}
	})
}
