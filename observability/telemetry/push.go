package telemetry

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"petvote/shared/votestore"
)

// RefreshFunc is a function that reads the tally and pushes it to the pages.
type RefreshFunc func(context.Context, votestore.Notice) error

// Refresh calls f.
func (f RefreshFunc) Refresh(ctx context.Context, n votestore.Notice) error { return f(ctx, n) }

// Refresher gives each sampled vote behind a notice a CONSUMER span, "push results", in its own trace, and hands on the
// spans' contexts in place of the notice's. Of a push's tries a trace has the first failure and the success.
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
			latency.Record(ctx, time.Since(n.Oldest).Seconds())
		}
		if failing.Swap(err != nil) && err != nil {
			return err // a retry; spans that are never ended are never sent
		}
		endAll(spans, err)
		return err
	}, i.err()
}
