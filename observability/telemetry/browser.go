package telemetry

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"petvote/shared/tracecontext"
)

// The spans that pages may report.
const (
	SpanCastVote      = "cast vote"      // from the click to the answer; the root of a vote's trace
	SpanRenderResults = "render results" // from a push's arrival to the frame that shows it; a child of the push
)

var pageKinds = map[string]trace.SpanKind{SpanCastVote: trace.SpanKindClient, SpanRenderResults: trace.SpanKindInternal}

// The bounds on pages' reports.
const (
	maxSpanBody = 1 << 10
	maxSpanAge  = 5 * time.Minute
	spansPerSec = 50 // for one service, from all clients together
	spansBurst  = 100
)

// browserSpan is a page's report. Its times are relative, since the client's clock may be wrong.
type browserSpan struct {
	Name       string  `json:"name"`
	TraceID    string  `json:"trace_id"`
	SpanID     string  `json:"span_id"`   // empty: any
	ParentID   string  `json:"parent_id"` // empty: the root of its trace
	EndedAgo   float64 `json:"ended_ms_ago"`
	DurationMS float64 `json:"duration_ms"`
	Error      string  `json:"error"` // empty: none
}

// Pages accepts spans from pages, so that a trace reaches from the click to the screen. It answers 204, or 404 if
// nothing is exported. Reports are not authenticated, so it limits their rate, age and names.
func (t *Telemetry) Pages(name string) http.Handler {
	if t.pages == nil {
		return http.NotFoundHandler()
	}
	limit := rate.NewLimiter(spansPerSec, spansBurst)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !limit.Allow() {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		var reported browserSpan
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSpanBody)).Decode(&reported)
		if err != nil || reported.Name != name || !reported.record(t.pages, time.Now()) {
			http.Error(w, "not a span", http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// record creates the span unless its ids or times are invalid.
func (s browserSpan) record(tracer trace.Tracer, now time.Time) bool {
	if s.SpanID == "" {
		var id trace.SpanID
		_, _ = rand.Read(id[:]) // never fails
		s.SpanID = id.String()
	}
	own, parent := s.context(s.SpanID), s.context(s.ParentID)
	age := s.EndedAgo + s.DurationMS // not yet a time.Duration, which might overflow
	if !own.IsValid() || s.ParentID != "" && !parent.IsValid() ||
		s.EndedAgo < 0 || s.DurationMS < 0 || age > float64(maxSpanAge.Milliseconds()) {
		return false
	}
	ms := float64(time.Millisecond)
	ended := now.Add(-time.Duration(s.EndedAgo * ms))
	ctx := trace.ContextWithRemoteSpanContext(context.WithValue(context.Background(), ownKey{}, own), parent)
	_, span := tracer.Start(ctx, s.Name, trace.WithSpanKind(pageKinds[s.Name]),
		trace.WithTimestamp(ended.Add(-time.Duration(s.DurationMS*ms))))
	if s.Error != "" {
		span.SetStatus(codes.Error, s.Error)
	}
	span.End(trace.WithTimestamp(ended))
	return true
}

// context is the context of a span in the reported trace, invalid if an id is.
func (s browserSpan) context(spanID string) trace.SpanContext {
	return trace.SpanContextFromContext(extract(context.Background(),
		tracecontext.TraceContext{Parent: "00-" + s.TraceID + "-" + spanID + "-01"}))
}

// ownKey is the context key of the ids that a page chose for its span.
type ownKey struct{}

// pageIDs takes a span's ids from the context.
type pageIDs struct{}

var _ sdktrace.IDGenerator = pageIDs{}

func (pageIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	own := ctx.Value(ownKey{}).(trace.SpanContext)
	return own.TraceID(), own.SpanID()
}

func (pageIDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	return ctx.Value(ownKey{}).(trace.SpanContext).SpanID()
}

// TraceShare is the share of votes, from 0 to 1, that is traced; empty if nothing is exported.
func (t *Telemetry) TraceShare() string {
	if t.pages == nil {
		return ""
	}
	return strconv.FormatFloat(t.env.share, 'g', -1, 64)
}
