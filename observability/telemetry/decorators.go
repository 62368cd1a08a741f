package telemetry

import (
	"context"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// stream holds the attributes of every span and metric about the stream.
var stream = []attribute.KeyValue{
	semconv.MessagingSystemKey.String("redis"),
	semconv.MessagingDestinationName(votestream.Stream),
}

// operation is what the operations on the stream are measured by.
type operation struct {
	queue  string // "": not known
	failed bool
}

// operations makes the options to measure operations with under these attributes and the stream's.
func operations(attrs ...attribute.KeyValue) *cache[operation, []metric.RecordOption] {
	return &cache[operation, []metric.RecordOption]{make: func(o operation) []metric.RecordOption {
		attrs := slices.Concat(attrs, stream)
		if o.queue != "" {
			attrs = append(attrs, semconv.MessagingDestinationPartitionID(o.queue))
		}
		if o.failed {
			attrs = append(attrs, semconv.ErrorTypeOther)
		}
		return always(attrs...)
	}}
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
	kind := []attribute.KeyValue{semconv.MessagingOperationName("publish"), semconv.MessagingOperationTypeSend}
	attrs, outcomes := slices.Concat(kind, stream), operations(kind...)
	asProducer := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindProducer)}
	return func(ctx context.Context, m votestream.Message) (votestream.Entry, error) {
		span := trace.SpanFromContext(ctx)
		if sc := span.SpanContext(); sc.IsSampled() || !sc.IsValid() || !t.env.parentBased { // else none is recorded
			ctx, span = t.tracer.Start(ctx, "publish votes", asProducer...)
		}
		if span.IsRecording() { // as options of Start they would be copied even if nothing is recorded
			span.SetAttributes(attrs...)
			span.SetAttributes(semconv.MessagingMessageID(m.Vote.ID.String()))
		}
		m.Trace = inject(span.SpanContext())
		start := time.Now()
		entry, err := next(ctx, m)
		if err == nil && span.IsRecording() {
			span.SetAttributes(semconv.MessagingDestinationPartitionID(entry.Queue))
		}
		outcome := operation{entry.Queue, err != nil}
		duration.Record(ctx, time.Since(start).Seconds(), outcomes.get(outcome)...)
		end(span, err)
		return entry, err
	}, i.err()
}

// ProcessFunc is a function that processes a batch.
type ProcessFunc func(context.Context, []votestream.Delivery) error

// Processor gives each sampled vote of a batch a CONSUMER span, "process votes", in the producer's trace, and puts the
// span's context into the vote. A batch of several votes has a span of its own. With newTraces every vote gets a trace
// sampled on its own and linked to the producer's, as OpenTelemetry's messaging conventions recommend for batches.
func (t *Telemetry) Processor(next ProcessFunc, newTraces bool) (ProcessFunc, error) {
	i := t.instruments()
	size := i.histogram("petvote.batch.size", "{vote}", "Votes in a batch.", sizes)
	wait := i.histogram("petvote.queue.wait", "s", "Time a vote waited in the stream for a worker.", waits)
	duration := i.histogram("messaging.process.duration", "s", "Time to store and acknowledge a batch.", seconds)
	redeliveries := i.counter("petvote.redeliveries", "{vote}", "Votes delivered to a worker after an earlier delivery.")
	redeliveries.Add(context.Background(), 0) // from 0, or rate() misses the first one
	process := fanOut{tracer: t.tracer, kind: trace.SpanKindConsumer, name: "process votes", batchName: "process batch",
		newRoots: newTraces}
	kind := []attribute.KeyValue{semconv.MessagingOperationName("process"),
		semconv.MessagingConsumerGroupName(votestream.Group)}
	attrs := append(slices.Concat(kind, stream), semconv.MessagingOperationTypeProcess)
	outcomes := operations(kind...)
	queues := cache[string, []metric.RecordOption]{make: func(queue string) []metric.RecordOption {
		return always(semconv.MessagingDestinationPartitionID(queue))
	}}
	return func(ctx context.Context, batch []votestream.Delivery) error {
		start := time.Now()
		queue := batch[0].Queue // a batch is of one queue
		messages, ofQueue := make([]message, len(batch)), queues.get(queue)
		for i, d := range batch {
			messages[i] = message{d.EntryID, d.Message.Trace}
			wait.Record(ctx, d.Waited(start).Seconds(), ofQueue...)
			if d.Deliveries > 1 {
				redeliveries.Add(ctx, 1)
			}
		}
		size.Record(ctx, float64(len(batch)))
		ctx, spans := process.start(ctx, start, messages,
			append(attrs[:len(attrs):len(attrs)], semconv.MessagingDestinationPartitionID(queue))...)
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
		duration.Record(ctx, time.Since(start).Seconds(), outcomes.get(operation{queue, err != nil})...)
		endAll(spans, err)
		return err
	}, i.err()
}

// RecordFunc is a function that stores a batch.
type RecordFunc func(context.Context, []votestore.Entry) (votestore.Outcome, error)

// Record calls f.
func (f RecordFunc) Record(ctx context.Context, e []votestore.Entry) (votestore.Outcome, error) {
	return f(ctx, e)
}

// Recorder gives each sampled vote a CLIENT span, "store votes", in its own trace, around the storing of its batch.
func (t *Telemetry) Recorder(next RecordFunc) (RecordFunc, error) {
	i := t.instruments()
	duration := i.histogram("petvote.store.duration", "s", "Time to store a batch durably, retries included.", seconds)
	latency := i.histogram("petvote.vote.to_stored", "s",
		"Time from casting a vote to storing it, by the clocks of vote and worker.", waits)
	votes := i.counter("petvote.votes", "{vote}", "Votes handed to the store, by outcome.")
	outcome := func(name string) metric.AddOption { return metric.WithAttributes(attribute.String("outcome", name)) }
	stored, duplicate, redelivered := outcome("stored"), outcome("duplicate"), outcome("redelivered")
	store := fanOut{tracer: t.tracer, kind: trace.SpanKindClient, name: "store votes"}
	return func(ctx context.Context, entries []votestore.Entry) (votestore.Outcome, error) {
		start := time.Now()
		messages := make([]message, len(entries))
		for i, e := range entries {
			messages[i] = message{string(e.Source), e.Trace}
		}
		ctx, spans := store.start(ctx, start, messages, semconv.DBSystemNamePostgreSQL,
			semconv.DBOperationName("INSERT"), semconv.DBCollectionName("votes"), semconv.DBOperationBatchSize(len(entries)))
		out, err := next(ctx, entries)
		now := time.Now()
		duration.Record(ctx, now.Sub(start).Seconds())
		endAll(spans, err)
		if err != nil {
			return out, err
		}
		for _, e := range entries {
			if out.New(e.Source) {
				latency.Record(ctx, secondsSince(e.Vote.CastAt, now))
			}
		}
		votes.Add(ctx, int64(out.Stored), stored)
		votes.Add(ctx, int64(out.Duplicates), duplicate)
		votes.Add(ctx, int64(out.Redelivered), redelivered)
		return out, nil
	}, i.err()
}

// secondsSince is at least 0: the times come from the clocks of two hosts, and a histogram's sum must not fall.
func secondsSince(start, now time.Time) float64 { return max(0, now.Sub(start).Seconds()) }

// Acker takes entries out of the stream.
type Acker interface {
	Ack(ctx context.Context, entryIDs []string) error
	DeadLetter(ctx context.Context, failures []votestream.Failure) error
	CountRetry(ctx context.Context, entryID string) (int64, error)
	ForgetRetries(ctx context.Context, entryID string) error
}

type acker struct {
	Acker
	deadLetters metric.Int64Counter
}

// Acker counts dead letters by reason and marks the span of a dead-lettered vote as failed.
func (t *Telemetry) Acker(next Acker) (Acker, error) {
	i := t.instruments()
	s := acker{next, i.counter("petvote.dead_letters", "{vote}", "Entries dead-lettered, by reason.")}
	for _, reason := range votestream.Reasons() { // from 0, or rate() misses the first one
		s.deadLetters.Add(context.Background(), 0, metric.WithAttributes(attribute.String("reason", string(reason))))
	}
	return s, i.err()
}

func (s acker) DeadLetter(ctx context.Context, failures []votestream.Failure) error {
	if err := s.Acker.DeadLetter(ctx, failures); err != nil {
		return err
	}
	spans := spansOf(ctx)
	for _, f := range failures {
		s.deadLetters.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", string(f.Reason))))
		if span := spans[f.Delivery.EntryID]; span != nil {
			span.AddEvent("dead letter", trace.WithAttributes(attribute.String("petvote.reason", string(f.Reason))))
			span.SetStatus(codes.Error, f.Err.Error())
		}
	}
	return nil
}

// RefreshFunc is a function that reads the tally and pushes it to the pages.
type RefreshFunc func(context.Context, votestore.Notice) error

// Refresh calls f.
func (f RefreshFunc) Refresh(ctx context.Context, n votestore.Notice) error { return f(ctx, n) }

// Refresher gives each sampled vote behind a notice a CONSUMER span, "push results", in its own trace, and hands on the
// spans' contexts in place of the notice's. A retried push records only its first failure and its success.
func (t *Telemetry) Refresher(next RefreshFunc) (RefreshFunc, error) {
	i := t.instruments()
	duration := i.histogram("petvote.push.duration", "s",
		"Time to read the tally and hand it to every viewer's mailbox.", seconds)
	latency := i.histogram("petvote.vote.to_screen", "s",
		"Time from casting the oldest vote of a push to having handed it to every viewer's mailbox.", waits)
	push := fanOut{tracer: t.tracer, kind: trace.SpanKindConsumer, name: "push results", batchName: "push batch"}
	var failing atomic.Bool // the last call failed
	return func(ctx context.Context, n votestore.Notice) error {
		start := time.Now()
		messages := make([]message, len(n.Traces))
		for i, tc := range n.Traces {
			messages[i] = message{strconv.Itoa(i), tc}
		}
		ctx, spans := push.start(ctx, start, messages,
			semconv.MessagingSystemKey.String("postgresql"), semconv.MessagingDestinationName("tally_changed"),
			semconv.MessagingOperationName("push"), semconv.MessagingOperationTypeProcess,
			semconv.MessagingBatchMessageCount(len(messages)))
		var pushes votestore.Notice
		for _, m := range messages {
			if span, ok := spans[m.key]; ok {
				pushes.Traces = append(pushes.Traces, inject(span.SpanContext()))
			}
		}
		err := next(ctx, pushes)
		duration.Record(ctx, time.Since(start).Seconds())
		if err == nil && !n.Oldest.IsZero() {
			latency.Record(ctx, secondsSince(n.Oldest, time.Now()))
		}
		if failing.Swap(err != nil) && err != nil {
			return err // a retry; spans that are never ended are never sent
		}
		endAll(spans, err)
		return err
	}, i.err()
}
