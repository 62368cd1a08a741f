package telemetry

import (
	"context"
	"encoding/hex"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"petvote/shared/tracecontext"
)

// extract returns ctx with the remote span of a message.
func extract(ctx context.Context, tc tracecontext.TraceContext) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": tc.Parent, "tracestate": tc.State})
}

// inject returns the trace context of ctx's span.
func inject(ctx context.Context) tracecontext.TraceContext {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return tracecontext.TraceContext{}
	}
	return tracecontext.TraceContext{Parent: parentOf(sc), State: sc.TraceState().String()}
}

// parentOf is the span as a traceparent. It is written by hand since it is for every vote, twice.
func parentOf(sc trace.SpanContext) string {
	traceID, spanID := sc.TraceID(), sc.SpanID()
	text := append(make([]byte, 0, 55), "00-"...)
	text = append(hex.AppendEncode(text, traceID[:]), '-')
	text = append(hex.AppendEncode(text, spanID[:]), '-')
	return string(hex.AppendEncode(text, []byte{byte(sc.TraceFlags())}))
}

// end ends a span, with error status if there is an error.
func end(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		span.SetAttributes(semconv.ErrorType(err))
		span.RecordError(err)
	}
	span.End()
}

// A batch is one piece of work done for many traces at once. Its spans travel in the context by the stream entry that each
// belongs to, so that what happens to the work (a retry, an open breaker) is told in each of them.
type batchKey struct{}

func withBatch(ctx context.Context, spans map[string]trace.Span) context.Context {
	return context.WithValue(ctx, batchKey{}, spans)
}

func batchOf(ctx context.Context) map[string]trace.Span {
	spans, _ := ctx.Value(batchKey{}).(map[string]trace.Span)
	return spans
}

// eachSpan calls do for each recorded span that ctx's work belongs to.
func eachSpan(ctx context.Context, do func(trace.Span)) {
	spans := batchOf(ctx)
	for _, span := range spans {
		do(span)
	}
	if span := trace.SpanFromContext(ctx); spans == nil && span.IsRecording() {
		do(span)
	}
}
