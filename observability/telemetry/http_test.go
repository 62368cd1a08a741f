package telemetry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"petvote/infra/testenv"
	"petvote/shared/config"
	"petvote/shared/web"
)

// instrumented serves a handler under some patterns, as the services do.
func instrumented(tel *Telemetry, h http.HandlerFunc, patterns ...string) http.Handler {
	mux := http.NewServeMux()
	for _, pattern := range patterns {
		mux.Handle(pattern, h)
	}
	return tel.HTTP(web.Compress(mux))
}

// ask sends a request with headers as names and values.
func ask(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body))
	r.Header.Set("Accept-Encoding", "gzip")
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRequestsAreTracedByRouteAndAnsweredWithTheirTrace(t *testing.T) {
	tel, spans := recording(t)
	public := instrumented(tel, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.PathValue("id") == "bad" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, TraceID(r.Context()))
	}, "POST /pets/{id}", "GET /readyz")
	w := ask(public, http.MethodPost, "http://pets.example:8084/pets/1?x=1", "body", "Traceparent", recordedA.Parent,
		"User-Agent", "agent/1", "X-Forwarded-For", "203.0.113.9")
	span := spans.only(t, "POST /pets/{id}")
	if span.SpanKind() != trace.SpanKindServer || span.Parent().SpanID().String() != parentA ||
		span.Status().Code != codes.Unset {
		t.Errorf("kind %v, parent %v, status %v", span.SpanKind(), span.Parent().SpanID(), span.Status())
	}
	response, own := w.Header().Get("traceresponse"), contextOf(span.SpanContext())
	if w.Body.String() != traceA || response != own {
		t.Errorf("trace inside %s, traceresponse %s, span %s", w.Body, response, own)
	}
	var attributes []string
	for _, a := range span.Attributes() {
		attributes = append(attributes, string(a.Key)+"="+a.Value.String())
	}
	slices.Sort(attributes)
	want := []string{"client.address=192.0.2.1", "http.request.body.size=4", "http.request.method=POST",
		"http.response.body.size=32", "http.response.status_code=200", "http.route=/pets/{id}",
		"network.peer.address=192.0.2.1", "network.peer.port=1234", "network.protocol.version=1.1",
		"server.address=pets.example", "server.port=8084", "url.path=/pets/1", "url.scheme=http",
		"user_agent.original=agent/1"}
	if !slices.Equal(attributes, want) {
		t.Errorf("attributes\n%s\nwant\n%s", attributes, want)
	}
	ask(public, http.MethodPost, "/pets/bad", "")
	ask(public, http.MethodGet, "/readyz", "", "Traceparent", recordedA.Parent)
	ask(public, http.MethodGet, "/elsewhere", "")
	if n := len(spans.Ended()); n != 3 {
		t.Errorf("%d spans of one good, one failed, one unknown and one probing request, want 3", n)
	}
	failed := spans.named("POST /pets/{id}")[1]
	if failed.Status().Code != codes.Error || attributeOf(failed.Attributes(), "error.type") != "503" {
		t.Errorf("the failed request's status is %v, its attributes %v", failed.Status(), failed.Attributes())
	}
	spans.only(t, "GET") // not the path, which is of the client's choice
	wantRequests(t, tel, `http_request_method="POST",http_response_status_code="200",http_route="/pets/{id}"`,
		`error_type="503",http_request_method="POST",http_response_status_code="503",http_route="/pets/{id}"`,
		`http_request_method="GET",http_response_status_code="404"`)
}

func TestBehindATrustedProxyARequestIsTheClients(t *testing.T) {
	tel, spans := recording(t)
	var trusted config.Networks
	testenv.Must(t, trusted.UnmarshalText([]byte("192.0.2.0/24")))
	public := web.Forwarded(trusted, instrumented(tel, func(http.ResponseWriter, *http.Request) {}, "POST /vote"))
	ask(public, http.MethodPost, "/vote?vote=key", "", "X-Forwarded-For", "203.0.113.9",
		"X-Forwarded-Host", "pets.example", "X-Forwarded-Proto", "https")
	attributes := spans.only(t, "POST /vote").Attributes()
	for key, want := range map[string]string{"client.address": "203.0.113.9", "server.address": "pets.example",
		"url.scheme": "https", "network.peer.address": "", "network.peer.port": "", "server.port": "", "url.query": ""} {
		if got := attributeOf(attributes, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	wantMetric(t, tel, `http_server_request_duration_seconds_count{http_request_method="POST",`+
		`http_response_status_code="200",http_route="/vote",url_scheme="https"} 1`)
}

// wantRequests checks that these are all attributes under which requests were counted, and that each was once.
func wantRequests(t *testing.T, tel *Telemetry, labels ...string) {
	t.Helper()
	const name = "http_server_request_duration_seconds_count"
	if found := scrape(t, tel, name); len(found) != len(labels) {
		t.Errorf("requests are counted as\n%s", strings.Join(found, "\n"))
	}
	for _, l := range labels {
		wantMetric(t, tel, name+"{"+l+`,url_scheme="http"} 1`)
	}
}

// Else pages that poll would drown out the votes.
func TestPollingIsMeasuredAndTracedOnlyWithinASampledTrace(t *testing.T) {
	tel, spans := recording(t)
	tel.public = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)) // would sample every root
	public := instrumented(tel, func(http.ResponseWriter, *http.Request) {}, "GET /api/tally", "GET /votes/{id}")
	for _, target := range []string{"/api/tally", "/votes/1"} {
		for parent, traced := range map[string]bool{"": false, unrecorded.Parent: false, recordedA.Parent: true} {
			before := len(spans.Ended())
			w := ask(public, http.MethodGet, target, "", "Traceparent", parent)
			if n := len(spans.Ended()) - before; traced != (n == 1) || traced != (w.Header().Get("Traceresponse") != "") {
				t.Errorf("%s in %q: %d spans, %v", target, parent, n, w.Header())
			}
		}
	}
	for _, route := range []string{"/api/tally", "/votes/{id}"} {
		wantMetric(t, tel, `http_server_request_duration_seconds_count{http_request_method="GET",`+
			`http_response_status_code="200",http_route="`+route+`",url_scheme="http"} 3`)
	}
}

func TestMethodsThatClientsInventAreOne(t *testing.T) {
	tel, spans := recording(t)
	public := instrumented(tel, func(http.ResponseWriter, *http.Request) {}, "/")
	for i := range 100 {
		ask(public, fmt.Sprintf("BREW%d", i), "/", "")
	}
	if found := spans.named("HTTP /"); len(found) != 100 ||
		attributeOf(found[99].Attributes(), "http.request.method_original") != "BREW99" {
		t.Errorf("%d spans of unknown methods", len(found))
	}
	if found := scrape(t, tel, "http_server_request_duration_seconds_count"); len(found) != 1 {
		t.Errorf("%d series: %s", len(found), found)
	}
}

func TestAPanicIsRecordedAndPassedOn(t *testing.T) {
	tel, spans := recording(t)
	public := instrumented(tel, func(http.ResponseWriter, *http.Request) { panic("a mistake") }, "GET /{$}")
	func() {
		defer func() {
			if got := recover(); got != "a mistake" {
				t.Errorf("the server gets %v", got)
			}
		}()
		ask(public, http.MethodGet, "/", "")
	}()
	span := spans.only(t, "GET /{$}")
	if span.Status().Code != codes.Error || !slices.Contains(events(span), "exception") {
		t.Errorf("status %v, events %v", span.Status(), events(span))
	}
	wantRequests(t, tel, `error_type="500",http_request_method="GET",http_response_status_code="500",http_route="/{$}"`)
}

func TestAHandlerCanFlushAndHijackAsWithoutTelemetry(t *testing.T) {
	tel, spans := recording(t)
	const hello = "hello, "
	read := make(chan struct{}, 2)
	server := httptest.NewServer(instrumented(tel, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hijack" {
			w.WriteHeader(http.StatusSwitchingProtocols)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				err = conn.Close()
			}
			if err != nil {
				t.Error(err)
			}
			return
		}
		w.WriteHeader(http.StatusEarlyHints) // is not yet the answer
		_, _ = io.WriteString(w, hello)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		select {
		case <-read:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "world")
	}, "GET /flush", "GET /hijack"))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, encoding := range []string{"gzip", "identity"} {
		get := func(path string) *http.Response {
			r := must(http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil))
			r.Header.Set("Accept-Encoding", encoding)
			return must(server.Client().Do(r))
		}
		if resp := get("/hijack"); resp.StatusCode != http.StatusSwitchingProtocols || resp.Body.Close() != nil {
			t.Errorf("%s: status %d", encoding, resp.StatusCode)
		}
		resp := get("/flush")
		first := make([]byte, len(hello))
		_, err := io.ReadFull(resp.Body, first)
		read <- struct{}{}
		rest, errRest := io.ReadAll(resp.Body)
		if string(first)+string(rest) != "hello, world" || err != nil || errRest != nil || resp.Body.Close() != nil {
			t.Errorf("%s: %q, %q, %v, %v", encoding, first, rest, err, errRest)
		}
	}
	server.Close() // waits for the handlers
	flushed := spans.named("GET /flush")
	if len(flushed) != 2 {
		t.Errorf("%d spans", len(flushed))
	}
	for _, span := range append(flushed, spans.named("GET /hijack")...) {
		got := attributeOf(span.Attributes(), "http.response.status_code") +
			attributeOf(span.Attributes(), "http.response.body.size")
		if got != "20012" && got != "101" {
			t.Errorf("%s: status and size %s", span.Name(), got)
		}
	}
}

// BenchmarkHTTP measures what telemetry adds to a request, which is made once.
func BenchmarkHTTP(b *testing.B) {
	tel := must(Start(b.Context(), "test", true))
	defer func() { _ = tel.Shutdown(context.WithoutCancel(b.Context())) }()
	tel.public = sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	public := instrumented(tel, func(http.ResponseWriter, *http.Request) {}, "POST /vote", "GET /api/tally")
	for _, c := range []struct{ name, method, path, parent string }{
		{"unsampled", http.MethodPost, "/vote", ""}, {"sampled", http.MethodPost, "/vote", recordedA.Parent},
		{"polling", http.MethodGet, "/api/tally", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			r, w := httptest.NewRequest(c.method, c.path, nil), httptest.NewRecorder()
			if c.parent != "" {
				r.Header.Set("Traceparent", c.parent)
			}
			b.ReportAllocs()
			for b.Loop() {
				public.ServeHTTP(w, r)
			}
		})
	}
}
