package telemetry

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Bucket boundaries of histograms.
var (
	// seconds are for a single step, 0.5 ms to 10 s.
	seconds = metric.WithExplicitBucketBoundaries(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
		1, 2.5, 5, 10)
	// waits are for the time in the queue, which an outage can make long.
	waits = metric.WithExplicitBucketBoundaries(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
		1, 2.5, 5, 10, 30, 60, 300, 1800)
	// answers are those that the semantic conventions recommend for HTTP requests.
	answers = metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75,
		1, 2.5, 5, 7.5, 10)
	// sizes are for the number of votes in a batch.
	sizes = metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000)
)

// instruments creates instruments and collects the errors, so that each instrument takes one line.
type instruments struct {
	meter      metric.Meter
	observable []metric.Observable
	errs       []error
}

func (t *Telemetry) instruments() *instruments { return &instruments{meter: t.meter} }

func (i *instruments) err() error { return errors.Join(i.errs...) }

func (i *instruments) counter(name, unit, text string) metric.Int64Counter {
	c, err := i.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(text))
	i.errs = append(i.errs, err)
	return c
}

func (i *instruments) histogram(name, unit, text string, buckets metric.HistogramOption) metric.Float64Histogram {
	h, err := i.meter.Float64Histogram(name, metric.WithUnit(unit), metric.WithDescription(text), buckets)
	i.errs = append(i.errs, err)
	return h
}

// total is a counter that is read at each scrape.
func (i *instruments) total(name, unit, text string) metric.Int64Observable {
	c, err := i.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
	i.observable, i.errs = append(i.observable, c), append(i.errs, err)
	return c
}

func (i *instruments) gauge(name, unit, text string) metric.Float64Observable {
	g, err := i.meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(text))
	i.observable, i.errs = append(i.observable, g), append(i.errs, err)
	return g
}

// observe calls set at each scrape, for the gauges and totals.
func (i *instruments) observe(set func(metric.Observer)) error {
	return observeStats(i, func(context.Context) (struct{}, error) { return struct{}{}, nil },
		func(o metric.Observer, _ struct{}) { set(o) })
}

// observeStats is observe with what read returns about a dependency. If read fails, the scrape lacks these metrics and
// no others; the breaker and the probes report the failure.
func observeStats[S any](i *instruments, read func(context.Context) (S, error), set func(metric.Observer, S)) error {
	_, err := i.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second) // no longer than a scrape can wait
		defer cancel()
		if stats, err := read(ctx); err == nil {
			set(o, stats)
		}
		return nil
	}, i.observable...)
	return errors.Join(i.err(), err)
}

// always makes the options to record with under these attributes. Made once and passed as they are, they cost nothing.
func always(attrs ...attribute.KeyValue) []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributes(attrs...)}
}

// cache makes a value once for each key. It forgets none, so there must be few. It may be read without locks.
type cache[K comparable, V any] struct {
	make   func(K) V
	made   atomic.Pointer[map[K]V] // is replaced, never changed
	making sync.Mutex
}

func (c *cache[K, V]) get(key K) V {
	if made := c.made.Load(); made != nil {
		if v, ok := (*made)[key]; ok {
			return v
		}
	}
	c.making.Lock()
	defer c.making.Unlock()
	grown := map[K]V{key: c.make(key)}
	if made := c.made.Load(); made != nil {
		maps.Copy(grown, *made) // what another call made for the key in the meantime stays
	}
	c.made.Store(&grown)
	return grown[key]
}
