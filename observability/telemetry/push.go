package telemetry

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"petvote/shared/tracecontext"
	"petvote/shared/votestore"
)

// Refresher reads the tally and pushes it to the pages.
type Refresher interface {
	Refresh(ctx context.Context, n votestore.Notice) error
}

type refresher struct {
	next     Refresher
	tracer   trace.Tracer
	duration metric.Float64Histogram
	latency  metric.Float64Histogram
	failing  atomic.Bool // since the last call
}

// Refresher gives each recorded vote behind a notice a CONSUMER span, "push results", in its own trace, and hands the
// spans' contexts on in place of the notice's: one for the read that failed, if one did, and one for that which
// succeeded, however many were made in between.
func (t *Telemetry) Refresher(next Refresher) (Refresher, error) {
	var errs errorList
	r := &refresher{next: next, tracer: t.tracer}
	r.duration = errs.histogram(t.meter.Float64Histogram("petvote.push.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Time to read the tally and hand it to every viewer's mailbox.")))
	r.latency = errs.histogram(t.meter.Float64Histogram("petvote.vote.to_screen", metric.WithUnit("s"), waits,
		metric.WithDescription("Time from casting the oldest vote of a push to having handed it to every viewer's mailbox.")))
	return r, errs.join()
}

func (r *refresher) Refresh(ctx context.Context, n votestore.Notice) error {
	start := time.Now()
	repeating := r.failing.Load()
	ctx, spans, contexts := r.start(ctx, n, start)
	err := r.next.Refresh(ctx, votestore.Notice{Traces: contexts})
	r.duration.Record(ctx, time.Since(start).Seconds())
	if err == nil && !n.Oldest.IsZero() {
		r.latency.Record(ctx, time.Since(n.Oldest).Seconds())
	}
	r.failing.Store(err != nil)
	if repeating && err != nil {
		return err // the first failure has its spans; these are never ended, and so never sent
	}
	for _, span := range spans {
		end(span, err)
	}
	return err
}

// start starts a span in each trace, all of them in the context that it returns.
func (r *refresher) start(ctx context.Context, n votestore.Notice, at time.Time) (context.Context, map[string]trace.Span, []tracecontext.TraceContext) {
	spans := make(map[string]trace.Span, len(n.Traces)+1)
	contexts := make([]tracecontext.TraceContext, len(n.Traces))
	var links []trace.Link
	if len(n.Traces) > 1 {
		var span trace.Span
		if ctx, span = r.startBatch(ctx, n, at); span.IsRecording() {
			spans["batch"] = span
		}
		links = []trace.Link{trace.LinkFromContext(ctx)}
	}
	for i, tc := range n.Traces {
		spanCtx, span := r.tracer.Start(extract(ctx, tc), "push results", trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithTimestamp(at), trace.WithLinks(links...), trace.WithAttributes(semconv.MessagingSystemKey.String("postgresql"),
				semconv.MessagingDestinationName("tally_changed"), semconv.MessagingOperationName("push"),
				semconv.MessagingOperationTypeProcess, semconv.MessagingBatchMessageCount(len(n.Traces))))
		spans[strconv.Itoa(i)] = span
		contexts[i] = inject(spanCtx)
		if len(n.Traces) == 1 {
			ctx = spanCtx
		}
	}
	return withBatch(ctx, spans), spans, contexts
}

// startBatch starts the span of a push that belongs to several traces, linked to each of them as they are to it.
func (r *refresher) startBatch(ctx context.Context, n votestore.Notice, at time.Time) (context.Context, trace.Span) {
	links := make([]trace.Link, len(n.Traces))
	for i, tc := range n.Traces {
		links[i] = trace.LinkFromContext(extract(ctx, tc))
	}
	return r.tracer.Start(ctx, "push batch", trace.WithNewRoot(), trace.WithTimestamp(at), trace.WithLinks(links...),
		trace.WithAttributes(semconv.MessagingBatchMessageCount(len(n.Traces))))
}

// Audience is what the pages' hub counts.
type Audience struct {
	Viewers   map[string]int64 // there now, by transport
	Pushes    int64            // changes of the tally pushed
	Conflated int64            // pushes that a viewer never saw because a newer one came first
}

// ObserveAudience exports the hub's figures.
func (t *Telemetry) ObserveAudience(read func() Audience) error {
	var errs []error
	viewers, err := t.meter.Int64ObservableGauge("petvote.viewers", metric.WithUnit("{viewer}"),
		metric.WithDescription("Open results pages, by transport."))
	errs = append(errs, err)
	pushes, err := t.meter.Int64ObservableCounter("petvote.pushes", metric.WithUnit("{push}"),
		metric.WithDescription("Changes of the tally pushed to the pages."))
	errs = append(errs, err)
	conflated, err := t.meter.Int64ObservableCounter("petvote.pushes.conflated", metric.WithUnit("{push}"),
		metric.WithDescription("Pushes replaced by a newer one before their viewer took them."))
	errs = append(errs, err)
	_, err = t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		a := read()
		for transport, n := range a.Viewers {
			o.ObserveInt64(viewers, n, metric.WithAttributes(attribute.String("transport", transport)))
		}
		o.ObserveInt64(pushes, a.Pushes)
		o.ObserveInt64(conflated, a.Conflated)
		return nil
	}, viewers, pushes, conflated)
	return errorList(append(errs, err)).join()
}

// ObserveTally exports how old the tally is that the pages show; before the first one there is none.
func (t *Telemetry) ObserveTally(age func() (old time.Duration, known bool)) error {
	_, err := t.meter.Float64ObservableGauge("petvote.tally.age", metric.WithUnit("s"),
		metric.WithDescription("Time since the tally that the pages show was read."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			if old, known := age(); known {
				o.Observe(old.Seconds())
			}
			return nil
		}))
	return err
}
