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

// ProcessFunc is a function that processes a batch.
type ProcessFunc func(context.Context, []votestream.Delivery) error

// Processor gives each sampled vote of a batch a CONSUMER span, "process votes", in the producer's trace, and puts the
// span's context into the vote. A batch of several votes has a span of its own. With newTraces every vote gets a new
// trace instead, sampled on its own and linked to the producer's, as OpenTelemetry's messaging conventions recommend
// for batches.
func (t *Telemetry) Processor(next ProcessFunc, newTraces bool) (ProcessFunc, error) {
	i := t.instruments()
	size := i.histogram("petvote.batch.size", "{vote}", "Votes in a batch.", sizes)
	wait := i.histogram("petvote.queue.wait", "s", "Time a vote waited in the stream for a worker.", waits)
	duration := i.histogram("messaging.process.duration", "s", "Time to store and acknowledge a batch.", seconds)
	redeliveries := i.counter("petvote.redeliveries", "{vote}", "Votes delivered to a worker after an earlier delivery.")
	redeliveries.Add(context.Background(), 0) // from 0, or rate() misses the first one
	process := fanOut{tracer: t.tracer, kind: trace.SpanKindConsumer, name: "process votes", batchName: "process batch",
		newRoots: newTraces}
	attrs := append([]attribute.KeyValue{semconv.MessagingOperationName("process"),
		semconv.MessagingOperationTypeProcess, semconv.MessagingConsumerGroupName(votestream.Group)}, stream...)
	return func(ctx context.Context, batch []votestream.Delivery) error {
		start := time.Now()
		messages := make([]message, len(batch))
		for i, d := range batch {
			messages[i] = message{d.EntryID, d.Message.Trace}
			wait.Record(ctx, d.Waited(start).Seconds())
			if d.Deliveries > 1 {
				redeliveries.Add(ctx, 1)
			}
		}
		size.Record(ctx, float64(len(batch)))
		ctx, spans := process.start(ctx, start, messages, attrs...)
		for i, d := range batch {
			span, ok := spans[d.EntryID]
			if !ok {
				continue
			}
			batch[i].Message.Trace = inject(span.SpanContext())
			span.SetAttributes(semconv.MessagingMessageID(d.Message.Vote.ID.String()),
				attribute.Float64("petvote.queue.wait_s", d.Waited(start).Seconds()),
				attribute.String("petvote.entry.id", d.EntryID))
			if d.Deliveries > 1 {
				span.AddEvent("redelivered", trace.WithAttributes(attribute.Int64("petvote.deliveries", d.Deliveries)))
			}
		}
		err := next(ctx, batch)
		duration.Record(ctx, time.Since(start).Seconds(), metric.WithAttributes(stream...))
		endAll(spans, err)
		return err
	}, i.err()
}
