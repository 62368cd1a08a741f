package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// Recorder is where the worker stores votes.
type Recorder interface {
	Record(ctx context.Context, entries []votestore.Entry) (votestore.Outcome, error)
}

type recorder struct {
	next     Recorder
	tracer   trace.Tracer
	duration metric.Float64Histogram
	latency  metric.Float64Histogram
	votes    metric.Int64Counter
}

var (
	outcomeStored      = metric.WithAttributes(attribute.String("outcome", "stored"))
	outcomeDuplicate   = metric.WithAttributes(attribute.String("outcome", "duplicate"))
	outcomeRedelivered = metric.WithAttributes(attribute.String("outcome", "redelivered"))
)

// Recorder gives each recorded vote a CLIENT span, "store votes", in its own trace, around the statement that stores
// the whole batch.
func (t *Telemetry) Recorder(next Recorder) (Recorder, error) {
	var errs errorList
	r := recorder{next: next, tracer: t.tracer}
	r.duration = errs.histogram(t.meter.Float64Histogram("petvote.store.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Time to store a batch durably, retries included.")))
	r.latency = errs.histogram(t.meter.Float64Histogram("petvote.vote.to_stored", metric.WithUnit("s"), waits,
		metric.WithDescription("Time from casting a vote to having it stored, by the clocks of vote and worker.")))
	r.votes = errs.counter(t.meter.Int64Counter("petvote.votes", metric.WithUnit("{vote}"),
		metric.WithDescription("Votes the store was given, by what became of them.")))
	return r, errs.join()
}

func (r recorder) Record(ctx context.Context, entries []votestore.Entry) (votestore.Outcome, error) {
	start := time.Now()
	spans := map[string]trace.Span{}
	for _, e := range entries {
		if !e.Trace.Sampled() {
			continue
		}
		spanCtx, span := r.tracer.Start(extract(ctx, e.Trace), "store votes", trace.WithSpanKind(trace.SpanKindClient),
			trace.WithTimestamp(start), trace.WithAttributes(semconv.DBSystemNamePostgreSQL,
				semconv.DBOperationName("INSERT"), semconv.DBCollectionName("votes"), semconv.DBOperationBatchSize(len(entries))))
		spans[e.EntryID] = span
		if len(entries) == 1 {
			ctx = spanCtx
		}
	}
	out, err := r.next.Record(withBatch(ctx, spans), entries)
	now := time.Now()
	r.duration.Record(ctx, now.Sub(start).Seconds())
	for _, span := range spans {
		end(span, err)
	}
	if err != nil {
		return out, err
	}
	for _, e := range entries {
		r.latency.Record(ctx, now.Sub(e.Vote.CastAt).Seconds())
	}
	r.votes.Add(ctx, int64(out.Stored), outcomeStored)
	r.votes.Add(ctx, int64(out.Duplicates), outcomeDuplicate)
	r.votes.Add(ctx, int64(out.Redelivered), outcomeRedelivered)
	return out, nil
}

// Settler is how the worker takes entries out of the stream.
type Settler interface {
	Settle(ctx context.Context, entryIDs []string) error
	Bury(ctx context.Context, burials []votestream.Burial) error
	CountTry(ctx context.Context, entryID string) (int64, error)
}

type settler struct {
	Settler
	buried metric.Int64Counter
}

// Settler counts dead letters by their reason and marks the span of a vote that becomes one as failed.
func (t *Telemetry) Settler(next Settler) (Settler, error) {
	buried, err := t.meter.Int64Counter("petvote.dead_letters", metric.WithUnit("{vote}"),
		metric.WithDescription("Entries moved to the dead letters, by reason."))
	for _, reason := range votestream.Reasons() { // a rate shows the first only after a 0
		buried.Add(context.Background(), 0, metric.WithAttributes(attribute.String("reason", string(reason))))
	}
	return settler{Settler: next, buried: buried}, err
}

func (s settler) Bury(ctx context.Context, burials []votestream.Burial) error {
	if err := s.Settler.Bury(ctx, burials); err != nil {
		return err
	}
	spans := batchOf(ctx)
	for _, b := range burials {
		s.buried.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", string(b.Reason))))
		if span := spans[b.Delivery.EntryID]; span != nil {
			span.AddEvent("dead letter", trace.WithAttributes(attribute.String("petvote.reason", string(b.Reason))))
			span.SetStatus(codes.Error, b.Err.Error())
		}
	}
	return nil
}
