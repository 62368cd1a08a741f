package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"petvote/shared/resilience"
)

const policyKey = attribute.Key("petvote.policy")

// policyListener turns what policies do into metrics, span events and log lines.
type policyListener struct {
	attempts metric.Float64Histogram
	retries  metric.Int64Counter
	changes  metric.Int64Counter
	labels   *sync.Map // of attempts, by attemptKey: made once, since there is an attempt for every vote
	told     *sync.Map // when a policy's retries were last told in the log
}

// tellEvery is between two lines about one policy's retries: enough to see in the log why something does not get on.
const tellEvery = 10 * time.Second

// PolicyListener returns the listener to make policies with.
func (t *Telemetry) PolicyListener() (resilience.Listener, error) {
	retries, changes, err := t.policyCounters()
	attempts, failed := t.meter.Float64Histogram("petvote.dependency.attempt.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Time of one attempt at a dependency, by outcome."))
	return policyListener{attempts: attempts, retries: retries, changes: changes, labels: new(sync.Map), told: new(sync.Map)}, errors.Join(err, failed)
}

// policyCounters are the same two however often they are asked for.
func (t *Telemetry) policyCounters() (retries, changes metric.Int64Counter, err error) {
	var errs errorList
	retries = errs.counter(t.meter.Int64Counter("petvote.dependency.retries", metric.WithUnit("{retry}"),
		metric.WithDescription("Attempts that were followed by another.")))
	changes = errs.counter(t.meter.Int64Counter("petvote.breaker.changes", metric.WithUnit("{change}"),
		metric.WithDescription("Changes of circuit breakers, by the state they went to.")))
	return retries, changes, errs.join()
}

type attemptKey struct {
	policy string
	ok     bool
}

func (k attemptKey) labels() metric.MeasurementOption {
	outcome := "ok"
	if !k.ok {
		outcome = "error"
	}
	return metric.WithAttributeSet(attribute.NewSet(policyKey.String(k.policy), attribute.String("outcome", outcome)))
}

func (l policyListener) Attempt(ctx context.Context, policy string, took time.Duration, err error) {
	key := attemptKey{policy, err == nil}
	labels, ok := l.labels.Load(key)
	if !ok {
		labels, _ = l.labels.LoadOrStore(key, key.labels())
	}
	l.attempts.Record(ctx, took.Seconds(), labels.(metric.MeasurementOption))
}

func (l policyListener) Retry(ctx context.Context, policy string, attempt int, err error, wait time.Duration) {
	l.retries.Add(ctx, 1, metric.WithAttributes(policyKey.String(policy)))
	if last, ok := l.told.Load(policy); (!ok || time.Since(last.(time.Time)) > tellEvery) && !resilience.Refused(err) {
		l.told.Store(policy, time.Now())
		slog.WarnContext(ctx, "trying again", "policy", policy, "attempt", attempt, "error", err)
	}
	eachSpan(ctx, func(span trace.Span) {
		span.AddEvent("retry", trace.WithAttributes(policyKey.String(policy), attribute.Int("petvote.attempt", attempt),
			attribute.String("error.message", err.Error()), attribute.Float64("petvote.wait_s", wait.Seconds())))
	})
}

func (l policyListener) BreakerSeen(ctx context.Context, policy string, from, to resilience.State) {
	eachSpan(ctx, func(span trace.Span) {
		span.AddEvent("circuit breaker changed", trace.WithAttributes(policyKey.String(policy),
			attribute.String("petvote.breaker.from", from.String()), attribute.String("petvote.breaker.to", to.String())))
	})
}

func (l policyListener) BreakerChanged(policy string, from, to resilience.State) {
	l.changes.Add(context.Background(), 1, metric.WithAttributes(policyKey.String(policy), attribute.String("to", to.String())))
	slog.Log(context.Background(), changeLevel(from, to), "circuit breaker changed", "policy", policy, "from", from.String(), "to", to.String())
}

// changeLevel makes an outage two lines, its beginning and its end; the tries in between are for those who look closely.
func changeLevel(from, to resilience.State) slog.Level {
	switch {
	case from == resilience.Closed:
		return slog.LevelWarn
	case to == resilience.Closed:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// ObserveBreakers exports each policy's breaker from the start: 0 closed, 1 half-open, 2 open. What is counted of a policy
// begins at 0, not with the first event, which no rate would show.
func (t *Telemetry) ObserveBreakers(policies ...*resilience.Policy) error {
	retries, changes, err := t.policyCounters()
	for _, p := range policies {
		policy := policyKey.String(p.Name())
		retries.Add(context.Background(), 0, metric.WithAttributes(policy))
		for _, to := range []resilience.State{resilience.Closed, resilience.HalfOpen, resilience.Open} {
			changes.Add(context.Background(), 0, metric.WithAttributes(policy, attribute.String("to", to.String())))
		}
	}
	_, failed := t.meter.Int64ObservableGauge("petvote.breaker.state",
		metric.WithDescription("State of a circuit breaker: 0 closed, 1 half-open, 2 open."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			for _, p := range policies {
				o.Observe(int64(p.Breaker()), metric.WithAttributes(policyKey.String(p.Name())))
			}
			return nil
		}))
	return errors.Join(err, failed)
}
