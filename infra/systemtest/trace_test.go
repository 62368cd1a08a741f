package systemtest

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// span is what the tests look at.
type span struct {
	*tracepb.Span
	service string
}

func (s span) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return strings.TrimSpace(a.Value.String())
		}
	}
	return ""
}

func (s span) event(name string) bool {
	return slices.ContainsFunc(s.Events, func(e *tracepb.Span_Event) bool { return e.Name == name })
}

// receiver takes spans by OTLP over HTTP, as a collector does.
type receiver struct {
	url string
	mu  sync.Mutex
	all []span
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &receiver{url: "http://" + listener.Addr().String()}
	server := &http.Server{Handler: http.HandlerFunc(c.take)}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return c
}

func (c *receiver) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint("not traces: ", err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		service := ""
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				c.all = append(c.all, span{s, service})
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// trace returns the spans of one trace that have come so far.
func (c *receiver) trace(id string) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []span
	for _, s := range c.all {
		if hex.EncodeToString(s.TraceId) == id {
			found = append(found, s)
		}
	}
	return found
}

// traced makes a rig whose services send their spans to a receiver.
func traced(t *testing.T, env ...string) (*rig, *receiver) {
	t.Helper()
	c := newReceiver(t)
	return newRig(t, withEnv(append(env, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.url, "OTEL_BSP_SCHEDULE_DELAY=50")...)), c
}

// edges tells each span with its parent, as "service: name < parent's name", and where a parent is missing.
func edges(spans []span) map[string]int {
	names := map[string]string{}
	for _, s := range spans {
		names[string(s.SpanId)] = s.Name
	}
	found := map[string]int{}
	for _, s := range spans {
		parent, ok := names[string(s.ParentSpanId)]
		switch {
		case len(s.ParentSpanId) == 0:
			parent = "(root)"
		case !ok:
			parent = "(missing)"
		}
		found[fmt.Sprintf("%s: %s < %s", s.service, s.Name, parent)]++
	}
	return found
}

func find(spans []span, name string) span {
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	return span{Span: &tracepb.Span{}}
}

func (r *rig) spansOf(c *receiver, trace string, names ...string) []span {
	r.t.Helper()
	var spans []span
	r.eventually(func() error {
		spans = c.trace(trace)
		for _, name := range names {
			if find(spans, name).Name == "" {
				return fmt.Errorf("no span %q in trace %s: %v", name, trace, edges(spans))
			}
		}
		return nil
	})
	return spans
}

var journey = []string{"POST /vote", "publish votes", "process votes", "store votes", "push results"}

func TestOneVoteIsOneTraceAcrossAllServices(t *testing.T) {
	t.Parallel()
	r, c := traced(t)
	_, answer, _, err := cast(t.Context(), r.Vote.URL("/vote"), "dogs", "")
	r.must(err)
	spans := r.spansOf(c, answer.TraceID, journey...)
	got := edges(spans)
	for _, edge := range []string{
		"vote: POST /vote < (root)",
		"vote: publish votes < POST /vote",
		"worker: process votes < publish votes",
		"worker: store votes < process votes",
		"result: push results < process votes",
	} {
		if got[edge] != 1 {
			t.Errorf("edge %q stands %d times in %v", edge, got[edge], slices.Sorted(maps.Keys(got)))
		}
	}
	kinds := map[string]tracepb.Span_SpanKind{
		"POST /vote": tracepb.Span_SPAN_KIND_SERVER, "publish votes": tracepb.Span_SPAN_KIND_PRODUCER,
		"process votes": tracepb.Span_SPAN_KIND_CONSUMER, "store votes": tracepb.Span_SPAN_KIND_CLIENT,
		"push results": tracepb.Span_SPAN_KIND_CONSUMER,
	}
	for name, kind := range kinds {
		if s := find(spans, name); s.Kind != kind || s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("%s has kind %v, status %v", name, s.Kind, s.Status)
		}
	}
	for name, keys := range map[string][]string{
		"POST /vote":    {"http.request.method", "http.route", "http.response.status_code"},
		"publish votes": {"messaging.system", "messaging.destination.name", "messaging.operation.name", "messaging.operation.type", "messaging.message.id"},
		"process votes": {"messaging.system", "messaging.destination.name", "messaging.consumer.group.name", "messaging.message.id", "petvote.queue.wait_s"},
		"store votes":   {"db.system.name", "db.operation.name", "db.collection.name"},
	} {
		for _, key := range keys {
			if find(spans, name).attribute(key) == "" {
				t.Errorf("%s has no attribute %s", name, key)
			}
		}
	}
}

func TestBrowserTheTraceReachesFromThePressToTheScreen(t *testing.T) {
	t.Parallel()
	r, c := traced(t)
	b := r.browser()
	results := r.open(b, r.Result.URL("/"))
	until(results, readResultPage, live)
	vote := r.open(b, r.Vote.URL("/"))
	_, err := look[bool](vote, `(() => { document.querySelector('button[value=dogs]').click(); return true; })()`)
	r.must(err)
	said := until(vote, readVotePage, func(v votePage) bool { return accepted(v) && v.Links["Receipt"] != "" })
	var receipt struct {
		TraceID string `json:"trace_id"`
	}
	r.eventually(func() error { return r.get(said.Links["Receipt"], &receipt) })
	spans := r.spansOf(c, receipt.TraceID, append([]string{"cast vote", "render results"}, journey...)...)
	got := edges(spans)
	for _, edge := range []string{
		"browser: cast vote < (root)",
		"vote: POST /vote < cast vote",
		"vote: publish votes < POST /vote",
		"worker: process votes < publish votes",
		"worker: store votes < process votes",
		"result: push results < process votes",
		"browser: render results < push results",
	} {
		if got[edge] == 0 {
			t.Errorf("no edge %q in %v", edge, slices.Sorted(maps.Keys(got)))
		}
	}
	for edge := range got {
		if strings.HasSuffix(edge, "(missing)") || strings.HasSuffix(edge, "(root)") && !strings.HasPrefix(edge, "browser: cast vote") {
			t.Errorf("an orphan: %s", edge)
		}
	}
	render, push, press := find(spans, "render results"), find(spans, "push results"), find(spans, "cast vote")
	if render.StartTimeUnixNano+50e6 < push.StartTimeUnixNano || render.EndTimeUnixNano < press.StartTimeUnixNano {
		t.Errorf("pressed at %d, pushed at %d, drawn from %d", press.StartTimeUnixNano, push.StartTimeUnixNano, render.StartTimeUnixNano)
	}
}

func TestMetricsLeadToTraces(t *testing.T) {
	t.Parallel()
	r, _ := traced(t)
	_, answer, _, err := cast(t.Context(), r.Vote.URL("/vote"), "dogs", "")
	r.must(err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.Vote.OpsURL("/metrics"), nil)
	r.must(err)
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := client.Do(req)
	r.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	r.must(err)
	for _, metric := range []string{"http_server_request_duration_seconds_bucket", "messaging_client_operation_duration_seconds_bucket"} {
		found := false
		for line := range strings.Lines(string(text)) {
			found = found || strings.HasPrefix(line, metric) && strings.Contains(line, `trace_id="`+answer.TraceID+`"`)
		}
		if !found {
			t.Errorf("no exemplar of %s names the trace %s", metric, answer.TraceID)
		}
	}
}

func TestTheCallersTraceIsContinued(t *testing.T) {
	t.Parallel()
	r, c := traced(t)
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	post(t, r.Vote.URL("/vote"), "application/json", `{"pet":"cats"}`, map[string]string{"traceparent": "00-" + id + "-00f067aa0ba902b7-01"})
	spans := r.spansOf(c, id, journey...)
	if s := find(spans, "POST /vote"); hex.EncodeToString(s.ParentSpanId) != "00f067aa0ba902b7" {
		t.Errorf("parent of POST /vote is %x", s.ParentSpanId)
	}
}

func TestVotesOfOneBatchKeepTheirOwnTraces(t *testing.T) {
	t.Parallel()
	r, c := traced(t)
	r.must(r.Worker.Pause())
	var traces []string
	for range 20 {
		_, answer, _, err := cast(t.Context(), r.Vote.URL("/vote"), "lizards", "")
		r.must(err)
		traces = append(traces, answer.TraceID)
	}
	r.must(r.Worker.Resume())
	for _, id := range traces {
		spans := r.spansOf(c, id, journey...)
		if got := edges(spans); got["worker: process votes < publish votes"] != 1 || got["worker: store votes < process votes"] != 1 {
			t.Errorf("trace %s: %v", id, got)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	links := 0
	for _, s := range c.all {
		if s.Name == "process batch" {
			links += len(s.Links)
		}
	}
	if links < 10 {
		t.Errorf("the batches' own spans have %d links to votes", links)
	}
}

func TestTroubleIsToldInTheTrace(t *testing.T) {
	t.Parallel()
	r, c := traced(t)
	// The worker waits in a read with its look at PostgreSQL behind it, so the vote reaches the server that hangs.
	r.must(r.Postgres.Pause())
	_, stored, _, err := cast(t.Context(), r.Vote.URL("/vote"), "dogs", "")
	r.must(err)
	time.Sleep(5500 * time.Millisecond) // longer than an attempt to store may take
	r.must(r.Postgres.Resume())
	if s := find(r.spansOf(c, stored.TraceID, journey...), "store votes"); !s.event("retry") {
		t.Errorf("a write that was tried again does not say so: events %v", s.Events)
	}

	doomed := r.describe("worker", "CRASH_AT=after-commit", "CONSUMER_NAME=worker-1", "OTEL_EXPORTER_OTLP_ENDPOINT="+c.url)
	r.must(r.Worker.Stop(t.Context()))
	_, again, _, err := cast(t.Context(), r.Vote.URL("/vote"), "cats", "")
	r.must(err)
	r.crash(doomed)
	r.must(r.Worker.Start(t.Context()))
	if s := find(r.spansOf(c, again.TraceID, "process votes"), "process votes"); !s.event("redelivered") {
		t.Errorf("a redelivered vote does not say so: events %v", s.Events)
	}

	r.must(r.Redis.Kill())
	const id = "5bf92f3577b34da6a3ce929d0e0e4736"
	resp := post(t, r.Vote.URL("/vote"), "application/json", `{"pet":"cats"}`,
		map[string]string{"traceparent": "00-" + id + "-00f067aa0ba902b7-01", "Idempotency-Key": uuid.NewString()})
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("status %d", resp.StatusCode)
	}
	spans := r.spansOf(c, id, "POST /vote", "publish votes")
	for _, name := range []string{"POST /vote", "publish votes"} {
		if s := find(spans, name); s.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR {
			t.Errorf("%s of a refused vote has status %v", name, s.Status)
		}
	}
}
