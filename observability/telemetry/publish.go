package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"petvote/shared/votestream"
)

// stream holds the attributes of every span and metric about the stream.
var stream = []attribute.KeyValue{
	semconv.MessagingSystemKey.String("redis"),
	semconv.MessagingDestinationName(votestream.Stream),
}

// PublishFunc is a function that publishes.
type PublishFunc func(context.Context, votestream.Message) (votestream.Entry, error)

// Publish calls f.
func (f PublishFunc) Publish(ctx context.Context, m votestream.Message) (votestream.Entry, error) {
	return f(ctx, m)
}

// Publisher gives each message a PRODUCER span, "publish votes", and puts the span's context into the message.
func (t *Telemetry) Publisher(next PublishFunc) (PublishFunc, error) {
	i := t.instruments()
	duration := i.histogram("messaging.client.operation.duration", "s",
		"Time to add a vote to the stream, retries included.", seconds)
	attrs := append([]attribute.KeyValue{semconv.MessagingOperationName("publish"),
		semconv.MessagingOperationTypeSend}, stream...)
	ok := metric.WithAttributeSet(attribute.NewSet(attrs...))
	failed := metric.WithAttributeSet(attribute.NewSet(append(attrs, semconv.ErrorTypeOther)...))
	return func(ctx context.Context, m votestream.Message) (votestream.Entry, error) {
		ctx, span := t.tracer.Start(ctx, "publish votes", trace.WithSpanKind(trace.SpanKindProducer))
		if span.IsRecording() { // as options of Start they would be copied even if nothing is recorded
			span.SetAttributes(attrs...)
			span.SetAttributes(semconv.MessagingMessageID(m.Vote.ID.String()))
		}
		m.Trace = inject(span.SpanContext())
		start := time.Now()
		entry, err := next(ctx, m)
		outcome := ok
		if err != nil {
			outcome = failed
		}
		duration.Record(ctx, time.Since(start).Seconds(), outcome)
		end(span, err)
		return entry, err
	}, i.err()
}
