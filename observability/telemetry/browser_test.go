package telemetry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// pages starts telemetry that accepts the spans of pages and keeps them for the test.
func pages(t *testing.T) (*Telemetry, *spans) {
	t.Helper()
	tel, s := started(t), &spans{SpanRecorder: tracetest.NewSpanRecorder()}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s), sdktrace.WithIDGenerator(pageIDs{}))
	tel.pages = provider.Tracer(scope)
	return tel, s
}

func report(h http.Handler, body string) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/spans", strings.NewReader(body)))
	return w.Code
}

func TestTheClickIsTheRootUnderTheIDsThatThePageReports(t *testing.T) {
	tel, spans := pages(t)
	before := time.Now()
	status := report(tel.Pages(SpanCastVote), `{"name":"cast vote","trace_id":"`+traceA+`","span_id":"`+parentA+
		`","ended_ms_ago":1000,"duration_ms":12.5}`)
	span := spans.only(t, SpanCastVote)
	if status != http.StatusNoContent || contextOf(span.SpanContext()) != recordedA.Parent || span.Parent().IsValid() {
		t.Errorf("status %d, span %s, parent %v", status, contextOf(span.SpanContext()), span.Parent())
	}
	if ago := before.Sub(span.EndTime()); ago < 900*time.Millisecond || ago > time.Second {
		t.Errorf("ended %v ago", ago)
	}
	took := span.EndTime().Sub(span.StartTime())
	if took != 12500*time.Microsecond || span.SpanKind() != trace.SpanKindClient {
		t.Errorf("took %v, kind %v", took, span.SpanKind())
	}
}

func TestARenderIsAChildOfItsPush(t *testing.T) {
	tel, spans := pages(t)
	status := report(tel.Pages(SpanRenderResults), `{"name":"render results","trace_id":"`+traceA+
		`","parent_id":"`+parentA+`","error":"it was late"}`)
	span := spans.only(t, SpanRenderResults)
	id := span.SpanContext().SpanID()
	if status != http.StatusNoContent || contextOf(span.Parent()) != recordedA.Parent ||
		id.String() == parentA || !id.IsValid() {
		t.Errorf("status %d, span %s, parent %s", status, contextOf(span.SpanContext()), contextOf(span.Parent()))
	}
	if span.Status().Code != codes.Error || span.Status().Description != "it was late" {
		t.Errorf("status %v", span.Status())
	}
}

func TestImplausibleSpansAreRejected(t *testing.T) {
	tel, spans := pages(t)
	h := tel.Pages(SpanRenderResults)
	for _, body := range []string{
		"", "null", "[]", `{"name":"cast vote","trace_id":"` + traceA + `"}`, `{"name":"render results"}`,
		`{"name":"render results","trace_id":"` + strings.Repeat("0", 32) + `"}`,
		`{"name":"render results","trace_id":"` + traceA + `","span_id":"1"}`,
		`{"name":"render results","trace_id":"` + traceA + `","parent_id":"x"}`,
		`{"name":"render results","trace_id":"` + traceA + `","ended_ms_ago":-1}`,
		`{"name":"render results","trace_id":"` + traceA + `","duration_ms":300001}`,
		`{"name":"render results","trace_id":"` + traceA + `","duration_ms":1e300}`,
		`{"name":"render results","trace_id":"` + traceA + `","ended_ms_ago":9e12,"duration_ms":9e12}`,
		`{"name":"render results","trace_id":"` + traceA + `","error":"` + strings.Repeat("x", maxSpanBody) + `"}`,
	} {
		if status := report(h, body); status != http.StatusBadRequest {
			t.Errorf("%.80s: status %d", body, status)
		}
	}
	if n := len(spans.Ended()); n > 0 {
		t.Errorf("%d spans", n)
	}
}

func TestAFloodOfSpansIsNotRecorded(t *testing.T) {
	tel, spans := pages(t)
	h := tel.Pages(SpanRenderResults)
	refused := 0
	for range 10 * spansBurst {
		if report(h, `{"name":"render results","trace_id":"`+traceA+`"}`) == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 || refused+len(spans.Ended()) != 10*spansBurst {
		t.Errorf("%d refused, %d recorded", refused, len(spans.Ended()))
	}
}

func TestWithoutExportPagesStartNoTracesAndReportNone(t *testing.T) {
	tel := started(t)
	status := report(tel.Pages(SpanCastVote), `{"name":"cast vote","trace_id":"`+traceA+`"}`)
	if share := tel.TraceShare(); status != http.StatusNotFound || share != "" {
		t.Errorf("status %d, share %q", status, share)
	}
}
