package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"petvote/shared/resilience"
)

const policyKey = attribute.Key("petvote.policy")

// policyListener reports the events of policies as metrics, span events and log lines.
type policyListener struct {
	attempts         metric.Float64Histogram
	retries, changes metric.Int64Counter
	labels           *cache[[2]string, []metric.RecordOption] // of attempts, by policy and outcome
	logged           *sync.Map                                // by policy: a rate.Sometimes for log lines about retries
}

// PolicyListener returns the listener to create policies with.
func (t *Telemetry) PolicyListener() (resilience.Listener, error) {
	i := t.instruments()
	l := policyListener{logged: new(sync.Map)}
	l.labels = &cache[[2]string, []metric.RecordOption]{make: func(of [2]string) []metric.RecordOption {
		return always(policyKey.String(of[0]), attribute.String("outcome", of[1]))
	}}
	l.retries, l.changes = policyCounters(i)
	l.attempts = i.histogram("petvote.dependency.attempt.duration", "s",
		"Time of one attempt at a dependency, by outcome.", seconds)
	return l, i.err()
}

func policyCounters(i *instruments) (retries, changes metric.Int64Counter) {
	return i.counter("petvote.dependency.retries", "{retry}", "Attempts that were followed by another."),
		i.counter("petvote.breaker.changes", "{change}", "State changes of circuit breakers, by the new state.")
}

func (l policyListener) Attempt(ctx context.Context, policy string, took time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	l.attempts.Record(ctx, took.Seconds(), l.labels.get([2]string{policy, outcome})...)
}

func (l policyListener) Retry(ctx context.Context, policy string, attempt int, err error, wait time.Duration) {
	sometimes, _ := l.logged.LoadOrStore(policy, &rate.Sometimes{First: 1, Interval: 10 * time.Second})
	if !resilience.Refused(err) { // what an open breaker refuses is no attempt
		l.retries.Add(ctx, 1, metric.WithAttributes(policyKey.String(policy)))
		sometimes.(*rate.Sometimes).Do(func() { // enough to see why something is stuck
			slog.WarnContext(ctx, "attempt failed; retrying", "policy", policy, "attempt", attempt, "error", err)
		})
	}
	for _, span := range spansOf(ctx) {
		span.AddEvent("retry", trace.WithAttributes(policyKey.String(policy), attribute.Int("petvote.attempt", attempt),
			attribute.String("error.message", err.Error()), attribute.Float64("petvote.wait_s", wait.Seconds())))
	}
}

func (l policyListener) BreakerSeen(ctx context.Context, policy string, from, to resilience.State) {
	for _, span := range spansOf(ctx) {
		span.AddEvent("circuit breaker changed", trace.WithAttributes(policyKey.String(policy),
			attribute.String("petvote.breaker.from", from.String()), attribute.String("petvote.breaker.to", to.String())))
	}
}

func (l policyListener) BreakerChanged(policy string, from, to resilience.State) {
	level := slog.LevelDebug // for what lies between the beginning and the end of an outage
	switch {
	case from == resilience.Closed:
		level = slog.LevelWarn
	case to == resilience.Closed:
		level = slog.LevelInfo
	}
	ctx := context.Background()
	l.changes.Add(ctx, 1, metric.WithAttributes(policyKey.String(policy), attribute.String("to", to.String())))
	slog.Log(ctx, level, "circuit breaker changed", "policy", policy, "from", from.String(), "to", to.String())
}

// ObserveBreakers exports each breaker's state and starts the policies' counters from 0, or rate() misses the first
// event.
func (t *Telemetry) ObserveBreakers(policies ...*resilience.Policy) error {
	i := t.instruments()
	retries, changes := policyCounters(i)
	for _, p := range policies {
		policy := policyKey.String(p.Name())
		retries.Add(context.Background(), 0, metric.WithAttributes(policy))
		for _, to := range []resilience.State{resilience.Closed, resilience.HalfOpen, resilience.Open} {
			changes.Add(context.Background(), 0, metric.WithAttributes(policy, attribute.String("to", to.String())))
		}
	}
	state := i.gauge("petvote.breaker.state", "", "State of a circuit breaker: 0 closed, 1 half-open, 2 open.")
	return i.observe(func(o metric.Observer) {
		for _, p := range policies {
			o.ObserveFloat64(state, float64(p.Breaker()), metric.WithAttributes(policyKey.String(p.Name())))
		}
	})
}
