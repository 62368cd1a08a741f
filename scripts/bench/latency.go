package main

import (
	"context"
	"errors"
	"time"

	"petvote/infra/voters"
	"petvote/infra/wait"
)

// measureLatency watches a results page, and the length of the queue, while votes come in at constant rates.
func measureLatency(ctx context.Context, t *target) (figures []figure, err error) {
	page, err := t.open(ctx, 1, voters.SSE)
	if err != nil {
		return nil, err
	}
	defer page.close()
	accepted := 0
	for _, rate := range []int{50, 1000, 5000} {
		var lengths []float64
		sampling, stop := context.WithCancel(ctx)
		sampled := make(chan error, 1)
		go func() {
			for wait.For(sampling, 100*time.Millisecond) == nil {
				n, err := t.Queued(ctx)
				if err != nil {
					sampled <- err
					return
				}
				lengths = append(lengths, float64(n))
			}
			sampled <- nil
		}()
		d := choose(t.bench, time.Minute, 2*time.Second)
		delays, err := t.cast(ctx, page, rate, d)
		stop()
		accepted += rate * int(d.Seconds())
		if err := errors.Join(err, <-sampled); err != nil {
			return nil, err
		}
		if err := t.balanced(ctx, accepted); err != nil {
			return nil, err
		}
		name := "click to screen at " + number(float64(rate)) + " votes/s"
		growth := median(lengths[len(lengths)/2:]) - median(lengths[:len(lengths)/2])
		figures = append(figures,
			figure{Name: name + ", p50", Unit: "ms", Value: milliseconds(delays, 50)}.atMost(25),
			figure{Name: name + ", p99", Unit: "ms", Value: milliseconds(delays, 99)}.atMost(250),
			figure{Name: name + ", growth of the queue in the second half", Unit: "votes", Value: growth}.
				atMost(float64(rate)/10))
	}
	return figures, nil
}
