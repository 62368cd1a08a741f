package telemetry

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// seconds are the bounds for times of a single step, from 0.5 ms to 10 s.
var seconds = metric.WithExplicitBucketBoundaries(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

// waits are the bounds for times in the queue, which an outage can make long.
var waits = metric.WithExplicitBucketBoundaries(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

// sizes are the bounds for numbers of votes in a batch.
var sizes = metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000)

// errorList collects the errors of making several instruments, so that each takes one line.
type errorList []error

func (l *errorList) counter(c metric.Int64Counter, err error) metric.Int64Counter {
	*l = append(*l, err)
	return c
}

func (l *errorList) histogram(h metric.Float64Histogram, err error) metric.Float64Histogram {
	*l = append(*l, err)
	return h
}

func (l *errorList) sizes(h metric.Int64Histogram, err error) metric.Int64Histogram {
	*l = append(*l, err)
	return h
}

func (l errorList) join() error { return errors.Join(l...) }
