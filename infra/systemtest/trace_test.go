package systemtest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

// span is a span with the service that sent it.
type span struct {
	*tracepb.Span
	service string
}

// value returns an attribute's value, nil for none.
func value(attributes []*commonpb.KeyValue, key string) *commonpb.AnyValue {
	for _, a := range attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return nil
}

func (s span) failed() bool { return s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR }

func (s span) event(name string) bool {
	return slices.ContainsFunc(s.Events, func(e *tracepb.Span_Event) bool { return e.Name == name })
}

// receiver is a collector of spans by OTLP over HTTP.
type receiver struct {
	url string
	mu  sync.Mutex
	all []span
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	testenv.Must(t, err)
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
		service := value(resource.Resource.Attributes, "service.name").GetStringValue()
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				c.all = append(c.all, span{s, service})
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// spans returns the spans that have come so far.
func (c *receiver) spans() []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

func (c *receiver) trace(id string) []span {
	return slices.DeleteFunc(c.spans(), func(s span) bool { return hex.EncodeToString(s.TraceId) != id })
}

// traced makes a rig whose services send their spans to a receiver.
func traced(t *testing.T, env ...string) (*rig, *receiver) {
	t.Helper()
	c := newReceiver(t)
	return newRig(t, withEnv(append(env, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.url, "OTEL_BSP_SCHEDULE_DELAY=50")...)), c
}

// edges counts each span with its parent, as "service: name < parent's name".
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

// spansOf waits until spans of these names have come, and returns the trace.
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

// voteSpans are those of every vote, with their kinds and attributes.
var voteSpans = map[string]struct {
	kind       tracepb.Span_SpanKind
	attributes []string
}{
	"POST /vote": {tracepb.Span_SPAN_KIND_SERVER, []string{
		"http.request.method", "http.route", "http.response.status_code"}},
	"publish votes": {tracepb.Span_SPAN_KIND_PRODUCER, []string{"messaging.system", "messaging.destination.name",
		"messaging.operation.name", "messaging.operation.type", "messaging.message.id"}},
	"process votes": {tracepb.Span_SPAN_KIND_CONSUMER, []string{"messaging.system", "messaging.destination.name",
		"messaging.consumer.group.name", "messaging.message.id", "petvote.queue.wait_s"}},
	"store votes": {tracepb.Span_SPAN_KIND_CLIENT, []string{
		"db.system.name", "db.operation.name", "db.collection.name"}},
	"push results": {tracepb.Span_SPAN_KIND_CONSUMER, nil},
}

var journey = slices.Collect(maps.Keys(voteSpans))

// voteEdges are those between the spans of every vote.
var voteEdges = []string{
	"vote: publish votes < POST /vote",
	"worker: process votes < publish votes",
	"worker: store votes < process votes",
	"result: push results < process votes",
}

func TestOneVoteIsOneTraceAcrossAllServices(t *testing.T) {
	t.Parallel()
	r, c := traced(t)
	vote := r.vote(ballot.Dogs)
	spans := r.spansOf(c, vote.TraceID, journey...)
	got := edges(spans)
	for _, edge := range append(voteEdges, "vote: POST /vote < (root)") {
		if got[edge] != 1 {
			t.Errorf("edge %q stands %d times in %v", edge, got[edge], slices.Sorted(maps.Keys(got)))
		}
	}
	for name, want := range voteSpans {
		s := find(spans, name)
		if s.Kind != want.kind || s.failed() || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("%s has kind %v, status %v", name, s.Kind, s.Status)
		}
		for _, key := range want.attributes {
			if value(s.Attributes, key) == nil {
				t.Errorf("%s has no attribute %s", name, key)
			}
		}
	}

	// Metrics lead to traces.
	metrics := r.fetch(http.MethodGet, r.Vote.OpsURL("/metrics"), "",
		"Accept", "application/openmetrics-text; version=1.0.0")
	for _, metric := range []string{
		"http_server_request_duration_seconds_bucket", "messaging_client_operation_duration_seconds_bucket",
	} {
		found := false
		for line := range strings.Lines(metrics.body) {
			found = found || strings.HasPrefix(line, metric) && strings.Contains(line, `trace_id="`+vote.TraceID+`"`)
		}
		if !found {
			t.Errorf("no exemplar of %s names the trace %s", metric, vote.TraceID)
		}
	}

	// A caller's trace is continued.
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	r.post(jsonType, `{"pet":"cats"}`, "traceparent", "00-"+id+"-00f067aa0ba902b7-01")
	spans = r.spansOf(c, id, journey...)
	if s := find(spans, "POST /vote"); hex.EncodeToString(s.ParentSpanId) != "00f067aa0ba902b7" {
		t.Errorf("parent of POST /vote is %x", s.ParentSpanId)
	}
}

func TestVotesOfABatchKeepTheirTracesAndFailuresShowInThem(t *testing.T) {
	t.Parallel()
	r, c := traced(t)
	r.must(r.Worker.Pause())
	var traces []string
	for range 20 {
		traces = append(traces, r.vote(ballot.Lizards).TraceID)
	}
	r.must(r.Worker.Resume())
	for _, id := range traces {
		got := edges(r.spansOf(c, id, journey...))
		for _, edge := range voteEdges[1:3] {
			if got[edge] != 1 {
				t.Errorf("edge %q stands %d times in trace %s: %v", edge, got[edge], id, got)
			}
		}
	}
	links := 0
	for _, s := range c.spans() {
		if s.Name == "process batch" {
			links += len(s.Links)
		}
	}
	if links < 10 {
		t.Errorf("the batches' own spans have %d links to votes", links)
	}

	// A write that waits for a lock times out, while the worker's check of PostgreSQL succeeds.
	retries := func() float64 {
		return sum(r.exported(r.Worker), `petvote_dependency_retries_total{petvote_policy="postgres"}`)
	}
	before := retries()
	lock, err := r.DB.Begin(t.Context())
	r.must(err)
	defer func() { _ = lock.Rollback(t.Context()) }() // else the platform waits for it at the end of a test that failed
	_, err = lock.Exec(t.Context(), `lock table votes in exclusive mode`)
	r.must(err)
	stored := r.vote(ballot.Dogs)
	r.eventually(func() error {
		if retries() == before {
			return errors.New("the worker has not tried to store again")
		}
		return nil
	})
	r.must(lock.Rollback(t.Context()))
	// Another consumer may have claimed the vote meanwhile, and have a span of its own.
	retried := func(s span) bool { return s.Name == "store votes" && s.event("retry") }
	r.eventually(func() error {
		if spans := c.trace(stored.TraceID); !slices.ContainsFunc(spans, retried) {
			return fmt.Errorf("no write shows that it was repeated: %v", spans)
		}
		return nil
	})

	doomed := r.describe("worker", "CRASH_AT=after-commit", "CONSUMER_NAME=worker-1", "OTEL_EXPORTER_OTLP_ENDPOINT="+c.url)
	r.must(r.Worker.Stop(t.Context()))
	again := r.vote(ballot.Cats)
	r.crash(doomed)
	r.must(r.Worker.Start(t.Context()))
	if s := find(r.spansOf(c, again.TraceID, "process votes"), "process votes"); !s.event("redelivered") {
		t.Errorf("a redelivered vote does not show it: events %v", s.Events)
	}

	r.must(r.Redis.Kill())
	const id = "5bf92f3577b34da6a3ce929d0e0e4736"
	resp := r.post(jsonType, `{"pet":"cats"}`, "traceparent", "00-"+id+"-00f067aa0ba902b7-01")
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("without Redis: %s", resp.Status)
	}
	spans := r.spansOf(c, id, "POST /vote", "publish votes")
	for _, s := range spans {
		if !s.failed() {
			t.Errorf("%s of a refused vote has status %v", s.Name, s.Status)
		}
	}
	if publish := find(spans, "publish votes"); len(spans) != 2 || !publish.event("retry") {
		t.Errorf("the trace of a refused vote is %v, publishing has the events %v", edges(spans), publish.Events)
	}
}
