package telemetry

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"petvote/shared/votestream"
)

// Processor is the worker's business step.
type Processor interface {
	Process(ctx context.Context, batch []votestream.Delivery) error
}

// QueueTraces says what becomes of a vote's trace when it comes out of the queue.
type QueueTraces string

const (
	// ContinueTraces makes the consumer's span a child of the producer's: one vote, one trace.
	ContinueTraces QueueTraces = "continue"
	// LinkTraces begins a trace of its own for the consumer, sampled for itself, with a link to the producer's, which is
	// what OpenTelemetry's conventions for messaging recommend where one can't say which belongs to which.
	LinkTraces QueueTraces = "link"
)

// UnmarshalText takes one of the constants.
func (q *QueueTraces) UnmarshalText(text []byte) error {
	switch v := QueueTraces(text); v {
	case ContinueTraces, LinkTraces:
		*q = v
		return nil
	}
	return errors.New("neither continue nor link")
}

type processor struct {
	next       Processor
	traces     QueueTraces
	tracer     trace.Tracer
	size       metric.Int64Histogram
	wait       metric.Float64Histogram
	duration   metric.Float64Histogram
	redelivery metric.Int64Counter
}

// Processor gives each recorded vote of a batch a CONSUMER span, "process votes", that continues the producer's trace or
// is linked to it, and hands the span's context on in the vote's stead. A batch of several votes has a span of its own as well, linked
// to them and they to it.
func (t *Telemetry) Processor(next Processor, traces QueueTraces) (Processor, error) {
	var errs errorList
	p := processor{next: next, traces: traces, tracer: t.tracer}
	p.size = errs.sizes(t.meter.Int64Histogram("petvote.batch.size", metric.WithUnit("{vote}"), sizes,
		metric.WithDescription("Votes handled together.")))
	p.wait = errs.histogram(t.meter.Float64Histogram("petvote.queue.wait", metric.WithUnit("s"), waits,
		metric.WithDescription("Time a vote spent in the stream before a worker had it.")))
	p.duration = errs.histogram(t.meter.Float64Histogram("messaging.process.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Time to store and acknowledge a batch.")))
	p.redelivery = errs.counter(t.meter.Int64Counter("petvote.redeliveries", metric.WithUnit("{vote}"),
		metric.WithDescription("Votes handed to a worker that had been handed to one before.")))
	p.redelivery.Add(context.Background(), 0) // a rate shows the first only after a 0
	return p, errs.join()
}

func (p processor) Process(ctx context.Context, batch []votestream.Delivery) (err error) {
	start := time.Now()
	sampled := 0
	for _, d := range batch {
		p.wait.Record(ctx, d.Waited(start).Seconds())
		if d.Deliveries > 1 {
			p.redelivery.Add(ctx, 1)
		}
		if p.spanned(d) {
			sampled++
		}
	}
	p.size.Record(ctx, int64(len(batch)))

	var spans map[string]trace.Span
	if sampled > 0 {
		var links []trace.Link
		if len(batch) > 1 {
			var span trace.Span
			ctx, span = p.startBatch(ctx, batch)
			defer func() { end(span, err) }()
			links = []trace.Link{trace.LinkFromContext(ctx)}
		}
		spans = make(map[string]trace.Span, sampled)
		for i, d := range batch {
			if !p.spanned(d) {
				continue
			}
			spanCtx, span := p.startVote(ctx, d, start, links)
			spans[d.EntryID] = span
			batch[i].Message.Trace = inject(spanCtx)
			if len(batch) == 1 {
				ctx = spanCtx
			}
		}
		ctx = withBatch(ctx, spans)
	}
	err = p.next.Process(ctx, batch)
	p.duration.Record(ctx, time.Since(start).Seconds(), metric.WithAttributes(stream...))
	for _, span := range spans {
		end(span, err)
	}
	return err
}

func (p processor) startBatch(ctx context.Context, batch []votestream.Delivery) (context.Context, trace.Span) {
	links := make([]trace.Link, 0, len(batch))
	for _, d := range batch {
		if d.Message.Trace.Sampled() {
			links = append(links, trace.LinkFromContext(extract(ctx, d.Message.Trace)))
		}
	}
	return p.tracer.Start(ctx, "process batch", trace.WithNewRoot(), trace.WithLinks(links...), trace.WithAttributes(stream...),
		trace.WithAttributes(semconv.MessagingBatchMessageCount(len(batch))))
}

// spanned says whether a vote gets a span: if its trace is recorded or, where it begins another, if that one may be.
func (p processor) spanned(d votestream.Delivery) bool {
	return p.traces == LinkTraces || d.Message.Trace.Sampled()
}

func (p processor) startVote(ctx context.Context, d votestream.Delivery, start time.Time, links []trace.Link) (context.Context, trace.Span) {
	ctx = extract(ctx, d.Message.Trace)
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(start)}
	if p.traces == LinkTraces {
		options = append(options, trace.WithNewRoot())
		links = append(links[:len(links):len(links)], trace.LinkFromContext(ctx))
	}
	ctx, span := p.tracer.Start(ctx, "process votes", append(options, trace.WithLinks(links...),
		trace.WithAttributes(stream...), trace.WithAttributes(
			semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess,
			semconv.MessagingConsumerGroupName(votestream.Group), semconv.MessagingMessageID(d.Message.Vote.ID.String()),
			attribute.Float64("petvote.queue.wait_s", d.Waited(start).Seconds()),
			attribute.String("petvote.entry.id", d.EntryID)))...)
	if d.Deliveries > 1 {
		span.AddEvent("redelivered", trace.WithAttributes(attribute.Int64("petvote.deliveries", d.Deliveries)))
	}
	return ctx, span
}
