package main

import (
	"context"
	"errors"
	"time"
)

// overloadVoters is how many connections an open load may have: many more than the service has in hand at once.
const overloadVoters = 4096

// measureOverload finds out how many votes a second the service takes, and then offers twice as many, whatever becomes of them.
func measureOverload(ctx context.Context, b *bench) (figures []figure, err error) {
	p, err := b.newPlatform(ctx, "", "0.01")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.worker.Pause(); err != nil {
		return nil, err
	}
	d := choose(b, 4*time.Second, 2*time.Second)
	var capacities, rates, p99s, sheds []float64
	accepted, refused := 0, 0
	for range choose(b, 3, 1) {
		full, err := b.load(ctx, p.vote, 512, d)
		if err != nil {
			return nil, err
		}
		capacity := full.perSecond()
		over, err := p.overload(ctx, 2*capacity, d)
		if err != nil {
			return nil, err
		}
		accepted += full.accepted + over.accepted
		refused += over.shed
		capacities, rates = append(capacities, capacity), append(rates, over.perSecond())
		p99s = append(p99s, milliseconds(percentile(over.times, 0.99)))
		sheds = append(sheds, float64(over.shed)/over.took.Seconds())
	}
	if err := p.worker.Resume(); err != nil {
		return nil, err
	}
	if err := p.covers(ctx, accepted, refused); err != nil {
		return nil, err
	}
	return []figure{
		figure{Name: "votes accepted per second when twice the capacity is offered", Unit: "/s", Value: median(rates)}.against("capacity", median(capacities)).atLeast(0.9),
		figure{Name: "p99 of the accepted, from when they were due", Unit: "ms", Value: median(p99s)}.atMost(2000),
		{Name: "refused with 503 meanwhile", Unit: "/s", Value: median(sheds)},
	}, nil
}

func (p *platform) overload(ctx context.Context, rate float64, d time.Duration) (a *answers, err error) {
	c, err := gather(ctx, p.vote.addr(), overloadVoters)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.leave()) }()
	return c.follow(ctx, schedule{start: time.Now(), interval: time.Duration(float64(time.Second) / rate), votes: int64(rate * d.Seconds())}, true)
}
