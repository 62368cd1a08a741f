package telemetry

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// The spans that a page may report, and no others.
const (
	SpanCastVote      = "cast vote"      // from the press to the answer; the root of a vote's trace
	SpanRenderResults = "render results" // from a push's arrival to the frame that shows it; a child of the push
)

var browserKinds = map[string]trace.SpanKind{SpanCastVote: trace.SpanKindClient, SpanRenderResults: trace.SpanKindInternal}

// What a page says is believed within these bounds.
const (
	maxSpanBody = 1 << 10
	maxSpanAge  = 5 * time.Minute
	spansPerSec = 50 // by one service, whoever reports them
	spansAtOnce = 100
)

// browserSpan is what a page reports. Its times are relative, since its clock may be wrong.
type browserSpan struct {
	Name       string  `json:"name"`
	TraceID    string  `json:"trace_id"`
	SpanID     string  `json:"span_id"`   // empty: any
	ParentID   string  `json:"parent_id"` // empty: it is the root of its trace
	EndedAgo   float64 `json:"ended_ms_ago"`
	DurationMS float64 `json:"duration_ms"`
	Error      string  `json:"error"` // empty: none
}

// Pages takes the spans of pages, so that a trace reaches from the press of a button to the screen. It answers POST
// requests with 204, and with 404 where nothing is exported. Whoever reports is believed, within bounds: what is too
// much, too old or not one of the names is refused.
func (t *Telemetry) Pages(name string) http.Handler {
	if t.pages == nil {
		return http.NotFoundHandler()
	}
	limit := rate.NewLimiter(spansPerSec, spansAtOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !limit.Allow() {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		var reported browserSpan
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSpanBody)).Decode(&reported)
		if err == nil && reported.Name != name {
			err = errors.New("not a span of this page")
		}
		if err == nil {
			err = recordReported(t.pages, reported, time.Now())
		}
		if err != nil {
			http.Error(w, "not a span", http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

func recordReported(tracer trace.Tracer, s browserSpan, now time.Time) error {
	traceID, err := trace.TraceIDFromHex(s.TraceID)
	if err != nil {
		return fmt.Errorf("trace_id: %w", err)
	}
	given := givenIDs{trace: traceID}
	if s.SpanID != "" {
		if given.span, err = trace.SpanIDFromHex(s.SpanID); err != nil {
			return fmt.Errorf("span_id: %w", err)
		}
	}
	ctx := context.WithValue(context.Background(), givenKey{}, given)
	if s.ParentID != "" {
		parent, err := trace.SpanIDFromHex(s.ParentID)
		if err != nil {
			return fmt.Errorf("parent_id: %w", err)
		}
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: traceID, SpanID: parent, TraceFlags: trace.FlagsSampled, Remote: true,
		}))
	}
	// As they came: a duration that doesn't fit would be any other.
	if most := float64(maxSpanAge.Milliseconds()); !(s.EndedAgo >= 0 && s.DurationMS >= 0 && s.EndedAgo+s.DurationMS <= most) {
		return errors.New("implausible times")
	}
	ago, took := milliseconds(s.EndedAgo), milliseconds(s.DurationMS)
	end := now.Add(-ago)
	_, span := tracer.Start(ctx, s.Name, trace.WithSpanKind(browserKinds[s.Name]), trace.WithTimestamp(end.Add(-took)))
	if s.Error != "" {
		span.SetStatus(codes.Error, s.Error)
	}
	span.End(trace.WithTimestamp(end))
	return nil
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// givenIDs are the ids that a page has already told others.
type givenIDs struct {
	trace trace.TraceID
	span  trace.SpanID // zero: any
}

type givenKey struct{}

// pageIDs is the [sdktrace.IDGenerator] of the pages' spans.
type pageIDs struct{}

func (pageIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	given, _ := ctx.Value(givenKey{}).(givenIDs)
	return given.trace, pageIDs{}.NewSpanID(ctx, given.trace)
}

func (pageIDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	given, _ := ctx.Value(givenKey{}).(givenIDs)
	for !given.span.IsValid() {
		_, _ = rand.Read(given.span[:]) // never fails
	}
	return given.span
}

var _ sdktrace.IDGenerator = pageIDs{}

// TraceShare is the part of all votes, from 0 to 1, whose traces pages begin, by the standard variables of sampling;
// empty where nothing is exported, and pages begin none.
func TraceShare() string {
	if !exporting() {
		return ""
	}
	switch os.Getenv("OTEL_TRACES_SAMPLER") {
	case "always_off", "parentbased_always_off":
		return "0"
	case "traceidratio", "parentbased_traceidratio":
		text := os.Getenv("OTEL_TRACES_SAMPLER_ARG")
		if share, err := strconv.ParseFloat(text, 64); err == nil && share >= 0 && share <= 1 {
			return text
		}
	}
	return "1"
}
