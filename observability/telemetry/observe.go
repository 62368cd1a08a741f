package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// ObserveStream exports the queue's state and its side of the ledger. The vote service calls it, so that the queue
// stays visible while there is no worker.
func (t *Telemetry) ObserveStream(read func(context.Context) (votestream.Stats, error)) error {
	i := t.instruments()
	accepted := i.total("petvote.books.accepted", "{vote}", "Entries ever added to the stream, as counted by Redis.")
	dead := i.total("petvote.books.dead_lettered", "{vote}", "Entries ever dead-lettered, as counted by Redis.")
	waiting := i.gauge("petvote.stream.waiting", "{vote}", "Entries not yet delivered to a worker.")
	inFlight := i.gauge("petvote.stream.in_flight", "{vote}", "Entries delivered to a worker and not yet acknowledged.")
	deadNow := i.gauge("petvote.stream.dead_letters", "{vote}", "Dead letters waiting for an operator.")
	oldest := i.gauge("petvote.stream.oldest.age", "s", "Age of the oldest unacknowledged entry, 0 if there is none.")
	return observeStats(i, read, func(o metric.Observer, s votestream.Stats) {
		o.ObserveInt64(accepted, s.Added)
		o.ObserveInt64(dead, s.Dead)
		o.ObserveFloat64(waiting, float64(s.Waiting))
		o.ObserveFloat64(inFlight, float64(s.InFlight))
		o.ObserveFloat64(deadNow, float64(s.DeadNow))
		o.ObserveFloat64(oldest, s.Oldest.Seconds())
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

// Admission is the state of the vote service's bound on votes in flight.
type Admission struct {
	InFlight int64 // being published
	Waiting  int64 // for a slot
	Refused  int64 // no slot came free in time
}

// ObserveAdmission exports it.
func (t *Telemetry) ObserveAdmission(read func() Admission) error {
	i := t.instruments()
	inFlight := i.gauge("petvote.admission.in_flight", "{vote}", "Votes being published.")
	waiting := i.gauge("petvote.admission.waiting", "{vote}", "Votes waiting for a slot because all are taken.")
	refused := i.total("petvote.admission.refused", "{vote}", "Votes refused because no slot came free in time.")
	return i.observe(func(o metric.Observer) {
		a := read()
		o.ObserveFloat64(inFlight, float64(a.InFlight))
		o.ObserveFloat64(waiting, float64(a.Waiting))
		o.ObserveInt64(refused, a.Refused)
	})
}

// Audience is the state of the results pages' hub.
type Audience struct {
	Viewers   map[string]int64 // connected now, by transport
	Pushes    int64            // changes of the tally pushed
	Conflated int64            // pushes that a newer one replaced before a viewer took them
}

// ObserveAudience exports it.
func (t *Telemetry) ObserveAudience(read func() Audience) error {
	i := t.instruments()
	viewers := i.gauge("petvote.viewers", "{viewer}", "Open results pages, by transport.")
	pushes := i.total("petvote.pushes", "{push}", "Changes of the tally pushed to the pages.")
	conflated := i.total("petvote.pushes.conflated", "{push}", "Pushes replaced by a newer one before delivery.")
	return i.observe(func(o metric.Observer) {
		a := read()
		for transport, n := range a.Viewers {
			o.ObserveFloat64(viewers, float64(n), metric.WithAttributes(attribute.String("transport", transport)))
		}
		o.ObserveInt64(pushes, a.Pushes)
		o.ObserveInt64(conflated, a.Conflated)
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
