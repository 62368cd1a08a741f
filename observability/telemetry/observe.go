package telemetry

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"petvote/shared/config"
	"petvote/shared/resilience"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// Stream is one queue, as [Telemetry.ObserveStreams] reads it.
type Stream struct {
	Queue, Server string // the queue's name, and its Redis's
	Read          func(context.Context) (votestream.Stats, error)
}

// ObserveStreams exports the queues' states and their side of the ledger. The vote service calls it, so that the queues
// stay visible while there is no worker. All are read at once, so that a scrape waits for several that hang no longer
// than for one.
func (t *Telemetry) ObserveStreams(streams ...Stream) error {
	i := t.instruments()
	accepted := i.total("petvote.books.accepted", "{vote}", "Entries ever added to the stream, as counted by Redis.")
	dead := i.total("petvote.books.dead_lettered", "{vote}", "Entries ever dead-lettered, as counted by Redis.")
	waiting := i.gauge("petvote.stream.waiting", "{vote}", "Entries not yet delivered to a worker.")
	inFlight := i.gauge("petvote.stream.in_flight", "{vote}", "Entries delivered to a worker and not yet acknowledged.")
	deadNow := i.gauge("petvote.stream.dead_letters", "{vote}", "Dead letters waiting for an operator.")
	oldest := i.gauge("petvote.stream.oldest.age", "s", "Age of the oldest unacknowledged entry, 0 if there is none.")
	skew := i.gauge("petvote.clock.skew", "s", "How far a server's clock is ahead of this process's.")
	readable := i.gauge("petvote.stream.readable", "", "1 for each queue whose figures could be read, 0 for each other.")
	type figures struct {
		votestream.Stats
		err error
	}
	return observeStats(i, func(ctx context.Context) ([]figures, error) {
		all := make([]figures, len(streams))
		var reading sync.WaitGroup
		for n, stream := range streams {
			reading.Go(func() { all[n].Stats, all[n].err = stream.Read(ctx) })
		}
		reading.Wait()
		return all, nil
	}, func(o metric.Observer, all []figures) {
		for n, s := range all {
			queue := metric.WithAttributes(semconv.MessagingDestinationPartitionID(streams[n].Queue))
			if s.err != nil {
				o.ObserveFloat64(readable, 0, queue)
				continue
			}
			o.ObserveFloat64(readable, 1, queue)
			o.ObserveInt64(accepted, s.Added, queue)
			o.ObserveInt64(dead, s.Dead, queue)
			o.ObserveFloat64(waiting, float64(s.Waiting), queue)
			o.ObserveFloat64(inFlight, float64(s.InFlight), queue)
			o.ObserveFloat64(deadNow, float64(s.DeadNow), queue)
			o.ObserveFloat64(oldest, s.Oldest.Seconds(), queue)
			o.ObserveFloat64(skew, s.Ahead.Seconds(),
				metric.WithAttributes(attribute.String("petvote.server", streams[n].Server)))
		}
	})
}

// ObserveStore exports the database's side of the ledger.
func (t *Telemetry) ObserveStore(read func(context.Context) (votestore.Stats, error)) error {
	i := t.instruments()
	stored := i.total("petvote.books.stored", "{vote}", "Votes stored, as counted by PostgreSQL.")
	duplicates := i.total("petvote.books.duplicates", "{vote}", "Repetitions of stored votes, as counted by PostgreSQL.")
	return observeStats(i, read, func(o metric.Observer, s votestore.Stats) {
		o.ObserveInt64(stored, s.Stored)
		o.ObserveInt64(duplicates, s.Duplicates)
	})
}

// ObserveAdmission exports the vote service's bound on votes in flight: how many are being published, wait for a slot,
// and were refused because none came free in time.
func (t *Telemetry) ObserveAdmission(read func() (inFlight, waiting, refused int64)) error {
	i := t.instruments()
	publishing := i.gauge("petvote.admission.in_flight", "{vote}", "Votes being published.")
	queued := i.gauge("petvote.admission.waiting", "{vote}", "Votes waiting for a slot because all are taken.")
	rejected := i.total("petvote.admission.refused", "{vote}", "Votes refused because no slot came free in time.")
	return i.observe(func(o metric.Observer) {
		inFlight, waiting, refused := read()
		o.ObserveFloat64(publishing, float64(inFlight))
		o.ObserveFloat64(queued, float64(waiting))
		o.ObserveInt64(rejected, refused)
	})
}

// ObserveAudience exports the results pages' hub: its viewers by transport, the changes of the tally pushed, and the
// pushes that a newer one replaced before a viewer took them, and the viewers refused.
func (t *Telemetry) ObserveAudience(read func() (viewers map[string]int64, pushes, conflated, refused int64)) error {
	i := t.instruments()
	open := i.gauge("petvote.viewers", "{viewer}", "Open results pages, by transport.")
	pushed := i.total("petvote.pushes", "{push}", "Changes of the tally pushed to the pages.")
	replaced := i.total("petvote.pushes.conflated", "{push}", "Pushes replaced by a newer one before delivery.")
	rejected := i.total("petvote.viewers.refused", "{viewer}", "Viewers refused because there were too many.")
	return i.observe(func(o metric.Observer) {
		viewers, pushes, conflated, refused := read()
		for transport, n := range viewers {
			o.ObserveFloat64(open, float64(n), metric.WithAttributes(attribute.String("transport", transport)))
		}
		o.ObserveInt64(pushed, pushes)
		o.ObserveInt64(replaced, conflated)
		o.ObserveInt64(rejected, refused)
	})
}

// ObserveTally exports the age of the tally on the pages; there is no metric before the first tally.
func (t *Telemetry) ObserveTally(age func() (old time.Duration, known bool)) error {
	i := t.instruments()
	tally := i.gauge("petvote.tally.age", "s", "Time since the tally on the pages was read.")
	return i.observe(func(o metric.Observer) {
		if old, known := age(); known {
			o.ObserveFloat64(tally, old.Seconds())
		}
	})
}

// ObserveRefusals exports the requests that a service refused to answer, by reason: origin (see PUBLIC_ORIGINS) or
// rate_limit.
func (t *Telemetry) ObserveRefusals(read func() map[string]int64) error {
	i := t.instruments()
	refused := i.total("petvote.requests.refused", "{request}", "Requests refused, by reason.")
	return i.observe(func(o metric.Observer) {
		for reason, n := range read() {
			o.ObserveInt64(refused, n, metric.WithAttributes(attribute.String("reason", reason)))
		}
	})
}

// ObserveDependencies exports whether each dependency of a service's readiness is up. A breaker alone does not tell:
// without calls it stays closed in an outage, or half-open after one.
func (t *Telemetry) ObserveDependencies(read func() []resilience.Health) error {
	i := t.instruments()
	up := i.gauge("petvote.dependency.up", "", "1 for each dependency that is up, 0 for each other.")
	return i.observe(func(o metric.Observer) {
		for _, d := range read() {
			value := 0.0
			if d.Up {
				value = 1
			}
			o.ObserveFloat64(up, value, metric.WithAttributes(policyKey.String(d.Name)))
		}
	})
}

const settingKey = attribute.Key("petvote.setting")

// ObserveFindings exports the conditions that weaken a promise, each as 1 while it lasts. Without any there is a 0 for
// the setting "none", so that the metric's absence means something else.
func (t *Telemetry) ObserveFindings(read func() []config.Finding) error {
	i := t.instruments()
	findings := i.gauge("petvote.findings", "", "1 for each setting or object at fault that weakens a promise.")
	return i.observe(func(o metric.Observer) {
		found := read()
		for _, f := range found {
			o.ObserveFloat64(findings, 1, metric.WithAttributes(settingKey.String(f.Setting)))
		}
		if len(found) == 0 {
			o.ObserveFloat64(findings, 0, metric.WithAttributes(settingKey.String("none")))
		}
	})
}
