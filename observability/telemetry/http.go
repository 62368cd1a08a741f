package telemetry

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// HTTP traces and measures requests, named by method and route, and returns the trace in a traceresponse header
// (https://w3c.github.io/trace-context/#traceresponse-header). next must be or wrap an http.ServeMux, and pass on the
// request that it gets, in which the mux notes the route. Polling requests are measured, but not traced unless the
// caller's trace is sampled: they would drown out the votes. Streams don't belong here: their duration says nothing.
func (t *Telemetry) HTTP(next http.Handler) http.Handler {
	tracer, outcomes := t.public.Tracer(scope), cache[outcome, *recorded]{make: newRecorded}
	_, w3c := t.env.propagator.(propagation.TraceContext)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isProbe(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		start := time.Now()
		ctx := r.Context()
		if !w3c || r.Header["Traceparent"] != nil { // most requests bring none
			ctx = t.env.propagator.Extract(ctx, propagation.HeaderCarrier(r.Header))
		}
		span := trace.SpanFromContext(ctx) // the caller's, of which nothing is recorded here
		if !isPolling(r.URL.Path) || span.SpanContext().IsSampled() {
			ctx, span = tracer.Start(ctx, "HTTP", asServer...)
			defer span.End() // records a panic and lets it pass
			w.Header().Set("Traceresponse", parentOf(span.SpanContext()))
			r = r.WithContext(ctx)
		}
		answer := &response{ResponseWriter: w}
		if span.IsRecording() && r.ContentLength != 0 {
			answer.body.ReadCloser, r.Body = r.Body, &answer.body
		}
		panicked := true
		defer func() {
			status := answer.statusCode()
			if panicked {
				status = http.StatusInternalServerError // though the client gets no answer, or the beginning of one
			}
			to := outcomes.get(outcome{r.Pattern, knownMethod(r.Method), schemeOf(r), status})
			t.requests.Record(ctx, time.Since(start).Seconds(), to.options...)
			if span.IsRecording() {
				span.SetName(to.span)
				span.SetAttributes(append(attributesOf(r, answer), to.attributes...)...)
				if status >= http.StatusInternalServerError {
					span.SetStatus(codes.Error, "")
				}
			}
		}()
		next.ServeHTTP(answer, r)
		panicked = false
	})
}

// isPolling is true for what pages request by themselves.
func isPolling(path string) bool {
	return path == "/api/tally" || path == "/api/history" ||
		strings.HasPrefix(path, "/votes/") || strings.HasPrefix(path, "/static/")
}

// isProbe is true for health probes and for the pages' reports: neither is traced or measured.
func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" || path == "/spans" }

var asServer = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}

// outcome is what requests are counted by. There are few: clients choose none of its values at will.
type outcome struct {
	pattern, method, scheme string // of the mux, empty for none; known; http or https
	status                  int
}

// recorded is what is recorded of all requests of one outcome, by the names of
// https://opentelemetry.io/docs/specs/semconv/http/.
type recorded struct {
	span       string
	attributes []attribute.KeyValue
	options    []metric.RecordOption
}

func newRecorded(o outcome) *recorded {
	to := recorded{span: o.method, attributes: []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(o.method), semconv.HTTPResponseStatusCode(o.status),
		semconv.URLScheme(o.scheme)}}
	if o.method == otherMethod {
		to.span = "HTTP"
	}
	if i := strings.IndexByte(o.pattern, '/'); i >= 0 {
		to.span += " " + o.pattern[i:]
		to.attributes = append(to.attributes, semconv.HTTPRoute(o.pattern[i:]))
	}
	if o.status >= http.StatusInternalServerError {
		to.attributes = append(to.attributes, semconv.ErrorTypeKey.String(strconv.Itoa(o.status)))
	}
	to.options = always(to.attributes...)
	return &to
}

const otherMethod = "_OTHER"

var methods = []string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions, http.MethodPut,
	http.MethodDelete, http.MethodPatch, http.MethodConnect, http.MethodTrace, "QUERY"}

func knownMethod(method string) string {
	if i := slices.Index(methods, method); i >= 0 {
		return methods[i] // not the client's text, which is part of the request
	}
	return otherMethod
}

// schemeOf is that of the client's request. A proxy in front speaks TLS, if anybody does.
func schemeOf(r *http.Request) string {
	if r.URL.Scheme == "https" {
		return "https"
	}
	return "http"
}

// attributesOf are the attributes of a request's span that its outcome does not have. web.Forwarded has set the
// client's address, with port 0 where a proxy is the peer. url.query is left out: it can hold the key of a vote that is
// not cast yet.
func attributesOf(r *http.Request, answer *response) []attribute.KeyValue {
	server, client := url.URL{Host: r.Host}, url.URL{Host: r.RemoteAddr}
	attrs := append(make([]attribute.KeyValue, 0, 16), semconv.ServerAddress(server.Hostname()),
		semconv.ClientAddress(client.Hostname()), semconv.URLPath(r.URL.Path),
		semconv.NetworkProtocolVersion(strings.TrimPrefix(r.Proto, "HTTP/")))
	if port, err := strconv.Atoi(server.Port()); err == nil {
		attrs = append(attrs, semconv.ServerPort(port))
	}
	if port, err := strconv.Atoi(client.Port()); err == nil && port > 0 {
		attrs = append(attrs, semconv.NetworkPeerAddress(client.Hostname()), semconv.NetworkPeerPort(port))
	}
	if agent := r.UserAgent(); agent != "" {
		attrs = append(attrs, semconv.UserAgentOriginal(agent))
	}
	if knownMethod(r.Method) == otherMethod {
		attrs = append(attrs, semconv.HTTPRequestMethodOriginal(r.Method))
	}
	if answer.body.size > 0 {
		attrs = append(attrs, semconv.HTTPRequestBodySize(answer.body.size))
	}
	if answer.size > 0 {
		attrs = append(attrs, semconv.HTTPResponseBodySize(answer.size))
	}
	return attrs
}

// response notes what a handler answers, and how much of the request's body it reads.
type response struct {
	http.ResponseWriter
	status, size int // 0 before the handler answers
	body         body
}

func (r *response) statusCode() int {
	if r.status == 0 {
		return http.StatusOK // as the server sends
	}
	return r.status
}

func (r *response) WriteHeader(status int) {
	informational := status < http.StatusOK && status != http.StatusSwitchingProtocols // the answer comes later
	if r.status == 0 && !informational {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(b []byte) (int, error) {
	r.status = r.statusCode()
	n, err := r.ResponseWriter.Write(b)
	r.size += n
	return n, err
}

// Unwrap lets an http.ResponseController reach the server's own methods, Flush and Hijack those who don't use one.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }
func (r *response) Flush()                      { _ = r.FlushError() }
func (r *response) FlushError() error           { return http.NewResponseController(r.ResponseWriter).Flush() }
func (r *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(r.ResponseWriter).Hijack()
}

type body struct {
	io.ReadCloser
	size int
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.size += n
	return n, err
}
