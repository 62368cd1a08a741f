package main

import (
	"context"
	"errors"
	"time"

	"petvote/infra/voters"
	"petvote/infra/wait"
)

// measureViewers opens many results pages on one result service while twenty votes a second are cast.
func measureViewers(ctx context.Context, t *target) (figures []figure, err error) {
	const rate = 20
	d := choose(t.bench, 10*time.Second, 2*time.Second)
	accepted := 0
	crowds := []struct {
		name      string
		pages     int
		transport voters.Transport
	}{
		{"SSE", 1000, voters.SSE},
		{"SSE", choose(t.bench, 10_000, 2000), voters.SSE},
		{"Socket.IO", choose(t.bench, 1000, 200), voters.SocketIO},
	}
	for _, c := range choose(t.bench, crowds, crowds[1:]) {
		// A fresh service, so that its memory is that of these viewers alone.
		if err := errors.Join(t.Result.Stop(ctx), t.Result.Start(ctx), wait.For(ctx, time.Second)); err != nil {
			return nil, err
		}
		empty, _, err := memory(t.Result)
		if err != nil {
			return nil, err
		}
		crowd, err := t.open(ctx, c.pages, c.transport)
		if err != nil {
			return nil, err
		}
		delays, err := t.cast(ctx, crowd, rate, d)
		full, _, failed := memory(t.Result)
		crowd.close()
		if err := errors.Join(err, failed); err != nil {
			return nil, err
		}
		accepted += rate * int(d.Seconds())
		name := number(float64(c.pages)) + " viewers by " + c.name
		p99 := figure{Name: name + ", current after, p99", Unit: "ms", Value: milliseconds(delays, 99)}
		each := figure{Name: name + ", memory a viewer", Unit: "KB", Value: (full - empty) * 1000 / float64(c.pages)}
		if c.name == "SSE" && c.pages > 1000 {
			p99, each = p99.atMost(500), each.atMost(30)
		}
		figures = append(figures, p99, each)
	}
	return figures, t.balanced(ctx, accepted)
}
