package telemetry

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"petvote/shared/tracecontext"
	"petvote/shared/votestream"
)

// extract returns ctx with the remote span of a message.
func extract(ctx context.Context, tc tracecontext.TraceContext) context.Context {
	return propagation.TraceContext{}.Extract(ctx,
		propagation.MapCarrier{"traceparent": tc.Parent, "tracestate": tc.State})
}

// inject returns the trace context to put into a message.
func inject(sc trace.SpanContext) tracecontext.TraceContext {
	if !sc.IsValid() {
		return tracecontext.TraceContext{}
	}
	return tracecontext.TraceContext{Parent: parentOf(sc), State: boundedState(sc.TraceState().String())}
}

// maxState and maxMember bound a tracestate, in bytes: W3C asks to pass on at least 512, and to drop members of more
// than 128 first, then those at the end (https://www.w3.org/TR/trace-context/#tracestate-limits). Every vote in the
// queue carries its own.
const maxState, maxMember = 512, 128

func boundedState(state string) string {
	if len(state) <= maxState {
		return state
	}
	var kept []string
	left := maxState + len(",")
	for member := range strings.SplitSeq(state, ",") {
		if len(member) > maxMember {
			continue
		}
		if left -= len(member) + len(","); left < 0 {
			break
		}
		kept = append(kept, member)
	}
	return strings.Join(kept, ",")
}

// parentOf formats a span's traceparent. It runs twice for every vote; the propagator would allocate more.
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

// fanOut creates the spans of work that is done for several messages at once.
type fanOut struct {
	tracer    trace.Tracer
	kind      trace.SpanKind
	name      string // of the span in each message's trace
	batchName string // of the span of a batch; "" for none
	newRoots  bool   // every message gets a new trace, linked to its own
}

// message is one of those that the work is done for. Its key is unique among them.
type message struct {
	key   string
	trace tracecontext.TraceContext
}

// start starts a span for each sampled message, in its trace, and returns them by key. A batch of several gets a span
// too; it and theirs link to each other. The context holds all spans. The batch's, or a lone message's, is current.
func (f fanOut) start(
	ctx context.Context, at time.Time, messages []message, attrs ...attribute.KeyValue,
) (context.Context, map[string]trace.Span) {
	spans := map[string]trace.Span{}
	var sampled, toBatch []trace.Link
	for _, m := range messages {
		if m.trace.Sampled() {
			sampled = append(sampled, trace.LinkFromContext(extract(ctx, m.trace)))
		}
	}
	if f.batchName != "" && len(messages) > 1 && (len(sampled) > 0 || f.newRoots) {
		ctx, spans["batch"] = f.tracer.Start(ctx, f.batchName, trace.WithNewRoot(), trace.WithTimestamp(at),
			trace.WithLinks(sampled...), trace.WithAttributes(attrs...),
			trace.WithAttributes(semconv.MessagingBatchMessageCount(len(messages))))
		toBatch = []trace.Link{trace.LinkFromContext(ctx)}
	}
	for _, m := range messages {
		if !m.trace.Sampled() && !f.newRoots {
			continue
		}
		remote := extract(ctx, m.trace)
		options := []trace.SpanStartOption{trace.WithSpanKind(f.kind), trace.WithTimestamp(at),
			trace.WithLinks(toBatch...), trace.WithAttributes(attrs...)}
		if f.newRoots {
			options = append(options, trace.WithNewRoot(), trace.WithLinks(trace.LinkFromContext(remote)))
		}
		spanCtx, span := f.tracer.Start(remote, f.name, options...)
		spans[m.key] = span
		if len(messages) == 1 {
			ctx = spanCtx
		}
	}
	return context.WithValue(ctx, batchKey{}, spans), spans
}

func endAll(spans map[string]trace.Span, err error) {
	for _, span := range spans {
		end(span, err)
	}
}

type batchKey struct{}

// spansOf returns the spans in which an event that concerns ctx's work (a retry, an open breaker) is recorded: those of
// a fanOut, by key, those of the votes that a producer adds together, or else the current one.
func spansOf(ctx context.Context) map[string]trace.Span {
	if spans, ok := ctx.Value(batchKey{}).(map[string]trace.Span); ok {
		return spans
	}
	spans := map[string]trace.Span{}
	for i, caller := range votestream.Callers(ctx) {
		spans[strconv.Itoa(i)] = trace.SpanFromContext(caller)
	}
	if len(spans) == 0 {
		spans[""] = trace.SpanFromContext(ctx)
	}
	return spans
}
