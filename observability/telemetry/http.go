package telemetry

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// HTTP traces and measures requests, named by method and route, and tells the caller the trace in a traceresponse
// header (https://w3c.github.io/trace-context/#traceresponse-header). next must be or wrap an http.ServeMux.
func (t *Telemetry) HTTP(next http.Handler) http.Handler {
	return unnoticed(otelhttp.NewHandler(routeAndResponse(next), "",
		otelhttp.WithTracerProvider(t.traces), otelhttp.WithMeterProvider(t.meters), otelhttp.WithPropagators(t.propagator),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			if r.Pattern != "" {
				return r.Pattern
			}
			return r.Method
		}),
		otelhttp.WithFilter(func(r *http.Request) bool { return !probe(r.URL.Path) })))
}

// unnoticed gives requests that pages make by themselves, every few seconds each, a trace that is not recorded unless
// they bring one: among theirs nobody would find a vote's. They are measured all the same.
func unnoticed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked(r.URL.Path) && r.Header.Get(traceparent) == "" {
			var ids [24]byte
			_, _ = rand.Read(ids[:]) // never fails
			r.Header.Set(traceparent, fmt.Sprintf("00-%x-%x-00", ids[:16], ids[16:]))
		}
		next.ServeHTTP(w, r)
	})
}

const traceparent = "traceparent"

func asked(path string) bool {
	return path == "/api/tally" || path == "/api/history" || strings.HasPrefix(path, "/votes/") || strings.HasPrefix(path, "/static/")
}

// probe says whether a path is asked all the time by machines that nobody wants to see, or by pages that only report.
func probe(path string) bool { return path == "/healthz" || path == "/readyz" || path == "/spans" }

// routeAndResponse sets the header before the answer, and on the span the route that only the mux inside knows.
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
