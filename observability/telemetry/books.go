package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"

	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// readWithin bounds what one scrape may wait for a dependency; a figure that can't be read is left out of the scrape.
const readWithin = time.Second

// ObserveStream exports the queue's share of the books and how it stands. The vote service does it, so that the queue is
// seen when there is no worker.
func (t *Telemetry) ObserveStream(read func(context.Context) (votestream.Stats, error)) error {
	var errs errorList
	count := func(name, what string) metric.Int64Observable {
		c, err := t.meter.Int64ObservableCounter(name, metric.WithUnit("{vote}"), metric.WithDescription(what))
		errs = append(errs, err)
		return c
	}
	gauge := func(name, what string) metric.Int64Observable {
		g, err := t.meter.Int64ObservableGauge(name, metric.WithUnit("{vote}"), metric.WithDescription(what))
		errs = append(errs, err)
		return g
	}
	accepted := count("petvote.books.accepted", "Entries ever added to the stream, by Redis's own count.")
	dead := count("petvote.books.dead_lettered", "Entries ever moved to the dead letters, by Redis's own count.")
	waiting := gauge("petvote.stream.waiting", "Entries not yet handed to a worker.")
	inFlight := gauge("petvote.stream.in_flight", "Entries handed to a worker and not yet settled.")
	deadNow := gauge("petvote.stream.dead_letters", "Dead letters that wait for a person.")
	oldest, err := t.meter.Float64ObservableGauge("petvote.stream.oldest.age", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest entry that is not settled, 0 if there is none."))
	errs = append(errs, err)
	_, err = t.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, readWithin)
		defer cancel()
		s, err := read(ctx)
		if err != nil {
			return nil // told by the breaker and the probes already
		}
		o.ObserveInt64(accepted, s.Added)
		o.ObserveInt64(dead, s.Dead)
		o.ObserveInt64(waiting, s.Waiting)
		o.ObserveInt64(inFlight, s.InFlight)
		o.ObserveInt64(deadNow, s.DeadNow)
		o.ObserveFloat64(oldest, s.Oldest.Seconds())
		return nil
	}, accepted, dead, waiting, inFlight, deadNow, oldest)
	return append(errs, err).join()
}

// ObserveStore exports the store's share of the books.
func (t *Telemetry) ObserveStore(read func(context.Context) (votestore.Stats, error)) error {
	var errs errorList
	stored, err := t.meter.Int64ObservableCounter("petvote.books.stored", metric.WithUnit("{vote}"),
		metric.WithDescription("Votes stored, by PostgreSQL's own rows."))
	errs = append(errs, err)
	duplicates, err := t.meter.Int64ObservableCounter("petvote.books.duplicates", metric.WithUnit("{vote}"),
		metric.WithDescription("Entries that repeated a stored vote, by PostgreSQL's own rows."))
	errs = append(errs, err)
	_, err = t.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, readWithin)
		defer cancel()
		s, err := read(ctx)
		if err != nil {
			return nil // told by the breaker and the probes already
		}
		o.ObserveInt64(stored, s.Stored)
		o.ObserveInt64(duplicates, s.Duplicates)
		return nil
	}, stored, duplicates)
	return append(errs, err).join()
}
