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

// Publisher is what the vote service publishes through.
type Publisher interface {
	Publish(ctx context.Context, m votestream.Message) error
}

// stream is what every span and metric about the stream says of it.
var stream = []attribute.KeyValue{
	semconv.MessagingSystemKey.String("redis"),
	semconv.MessagingDestinationName(votestream.Stream),
}

var producer = trace.WithSpanKind(trace.SpanKindProducer)

type publisher struct {
	next     Publisher
	tracer   trace.Tracer
	attrs    []attribute.KeyValue // of spans
	duration metric.Float64Histogram
	ok, bad  metric.MeasurementOption
}

// Publisher gives each message a PRODUCER span, "publish votes", and puts the span's context into the message.
func (t *Telemetry) Publisher(next Publisher) (Publisher, error) {
	attrs := append([]attribute.KeyValue{semconv.MessagingOperationName("publish"), semconv.MessagingOperationTypeSend}, stream...)
	duration, err := t.meter.Float64Histogram("messaging.client.operation.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Time to put a vote into the stream, retries included."))
	return publisher{
		next: next, tracer: t.tracer, attrs: attrs, duration: duration,
		ok:  metric.WithAttributeSet(attribute.NewSet(attrs...)),
		bad: metric.WithAttributeSet(attribute.NewSet(append(attrs, semconv.ErrorTypeOther)...)),
	}, err
}

func (p publisher) Publish(ctx context.Context, m votestream.Message) error {
	ctx, span := p.tracer.Start(ctx, "publish votes", producer)
	if span.IsRecording() { // else attributes at the start would be copied for nothing
		span.SetAttributes(p.attrs...)
		span.SetAttributes(semconv.MessagingMessageID(m.Vote.ID.String()))
	}
	m.Trace = inject(ctx)
	start := time.Now()
	err := p.next.Publish(ctx, m)
	outcome := p.ok
	if err != nil {
		outcome = p.bad
	}
	p.duration.Record(ctx, time.Since(start).Seconds(), outcome)
	end(span, err)
	return err
}

// Admission is what the vote service's bound on votes in flight counts.
type Admission struct {
	InFlight int64 // being put into the stream now
	Waiting  int64 // for their turn
	Refused  int64 // because it did not come in time
}

// ObserveAdmission exports it.
func (t *Telemetry) ObserveAdmission(read func() Admission) error {
	var errs errorList
	inFlight, err := t.meter.Int64ObservableGauge("petvote.admission.in_flight", metric.WithUnit("{vote}"),
		metric.WithDescription("Votes that are being put into the stream."))
	errs = append(errs, err)
	waiting, err := t.meter.Int64ObservableGauge("petvote.admission.waiting", metric.WithUnit("{vote}"),
		metric.WithDescription("Votes that wait for their turn, since as many are in flight as may be."))
	errs = append(errs, err)
	refused, err := t.meter.Int64ObservableCounter("petvote.admission.refused", metric.WithUnit("{vote}"),
		metric.WithDescription("Votes refused because their turn did not come in time."))
	errs = append(errs, err)
	_, err = t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		a := read()
		o.ObserveInt64(inFlight, a.InFlight)
		o.ObserveInt64(waiting, a.Waiting)
		o.ObserveInt64(refused, a.Refused)
		return nil
	}, inFlight, waiting, refused)
	return append(errs, err).join()
}
