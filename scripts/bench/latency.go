package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// measureLatency watches the results while votes come in at constant rates, and the queue as well.
func measureLatency(ctx context.Context, b *bench) (figures []figure, err error) {
	p, err := b.newPlatform(ctx, "", "0.01")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	accepted := 0
	for _, rate := range []int{50, 1000, 5000} {
		d := choose(b, time.Minute, 2*time.Second)
		s, lengths, err := p.watched(ctx, rate, d, int64(accepted))
		if err != nil {
			return nil, err
		}
		accepted += int(s.votes)
		if err := p.balance(ctx, accepted); err != nil {
			return nil, err
		}
		name := fmt.Sprintf("click to screen at %s votes/s", number(float64(rate)))
		growth := median(lengths[len(lengths)/2:]) - median(lengths[:len(lengths)/2])
		figures = append(figures,
			figure{Name: name + ", p50", Unit: "ms", Value: s.percentile(0.5)}.atMost(25),
			figure{Name: name + ", p99", Unit: "ms", Value: s.percentile(0.99)}.atMost(250),
			figure{Name: name + ", growth of the queue in the second half", Unit: "votes", Value: growth}.atMost(float64(rate)/10))
	}
	return figures, nil
}

// watched sends votes at a rate, with one page open, and returns what it saw and how long the queue was, ten times a second.
func (p *platform) watched(ctx context.Context, rate int, d time.Duration, before int64) (s *screen, lengths []float64, err error) {
	c, err := gather(ctx, p.vote.addr(), min(64, rate))
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, c.leave()) }()
	a := &audience{}
	defer a.leave()
	if err := a.openSSE(ctx, p.result.addr()); err != nil {
		return nil, nil, err
	}
	s = &screen{skip: int64(rate), schedule: schedule{
		start: time.Now().Add(100 * time.Millisecond), interval: time.Second / time.Duration(rate), votes: int64(d.Seconds()) * int64(rate), before: before,
	}}
	a.watch(s)
	sampling, stop := context.WithCancel(ctx)
	sampled := make(chan error, 1)
	go func() {
		for sampling.Err() == nil {
			st, err := p.queue.Stats(ctx)
			if err != nil {
				sampled <- err
				return
			}
			lengths = append(lengths, float64(st.Waiting+st.InFlight))
			_ = pause(sampling, 100*time.Millisecond) // its end ends the loop
		}
		sampled <- nil
	}()
	_, err = c.follow(ctx, s.schedule)
	stop()
	return s, lengths, errors.Join(err, <-sampled, s.current(ctx))
}
