package main

import (
	"context"
	"errors"
	"time"
)

// measureAccept compares the vote service with a bare handler, while the worker is paused, so that accepting has the machine
// for itself as the handler has. A last figure tells how it is when the votes are stored at the same time.
func measureAccept(ctx context.Context, b *bench) (figures []figure, err error) {
	p, err := b.newPlatform(ctx, "", "0.01")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	bare, err := startBare(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.Kill()) }()
	accepted := 0
	for _, connections := range []int{64, 512} {
		ours, theirs, err := b.sideBySide(ctx, p, bare, connections)
		if err != nil {
			return nil, err
		}
		accepted += ours.accepted
		rate, p99 := throughput("votes accepted per second, ", connections, ours, theirs)
		figures = append(figures, rate.atLeast(0.55), p99.atMost(3))
		if connections == 64 {
			figures = append(figures, figure{Name: "CPU to accept one vote: vote and Redis", Unit: "µs", Value: ours.cpuPerVote()}.
				against("bare net/http", theirs.cpuPerVote()))
		}
		if err := p.balance(ctx, accepted); err != nil {
			return nil, err
		}
	}
	all, err := b.load(ctx, p.vote, 64, choose(b, 5*time.Second, time.Second))
	if err != nil {
		return nil, err
	}
	figures = append(figures, figure{Name: "the same while the worker stores them, 64 connections", Unit: "/s", Value: all.perSecond()})
	return figures, p.balance(ctx, accepted+all.accepted)
}

// measureTraced is the same with every vote traced into a real collector.
func measureTraced(ctx context.Context, b *bench) (figures []figure, err error) {
	jaeger, err := b.startJaeger(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, jaeger.close()) }()
	p, err := b.newPlatform(ctx, jaeger.endpoint, "1.0")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	bare, err := startBare(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.Kill()) }()
	ours, theirs, err := b.sideBySide(ctx, p, bare, 64)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(jaeger.knows(ctx, "vote"), p.balance(ctx, ours.accepted)); err != nil {
		return nil, err
	}
	rate, p99 := throughput("every vote traced into "+jaeger.name+", ", 64, ours, theirs)
	return []figure{rate.atLeast(0.35), p99}, nil
}

func throughput(name string, connections int, ours, theirs *side) (rate, p99 figure) {
	name += number(float64(connections)) + " connections"
	rate = figure{Name: name, Unit: "/s", Value: median(ours.rates)}.against("bare net/http", median(theirs.rates))
	p99 = figure{Name: name + ", p99", Unit: "ms", Value: median(ours.p99s)}.against("bare net/http", median(theirs.p99s))
	return rate, p99
}

// side is one of two that are compared.
type side struct {
	rates, p99s []float64
	accepted    int
	cpu         time.Duration // of the vote service and Redis
}

func (s *side) cpuPerVote() float64 { return float64(s.cpu.Microseconds()) / float64(s.accepted) }

// sideBySide loads the two in turn, after a warm-up of each, with the worker paused.
func (b *bench) sideBySide(ctx context.Context, p *platform, bare *service, connections int) (ours, theirs *side, err error) {
	if err := p.worker.Pause(); err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, p.worker.Resume()) }()
	ours, theirs = &side{}, &side{}
	for round := range 1 + choose(b, 4, 1) {
		d := choose(b, 2*time.Second, 500*time.Millisecond)
		if round == 0 {
			d /= 2
		}
		for _, s := range []struct {
			*side
			*service
		}{{ours, p.vote}, {theirs, bare}} {
			before := p.cpu(s.PID()) + p.cpu(p.redis.PID())
			a, err := b.load(ctx, s.service, connections, d)
			if err != nil {
				return nil, nil, err
			}
			s.cpu += p.cpu(s.PID()) + p.cpu(p.redis.PID()) - before
			s.accepted += a.accepted
			if round > 0 {
				s.rates = append(s.rates, a.perSecond())
				s.p99s = append(s.p99s, milliseconds(percentile(a.times, 0.99)))
			}
		}
	}
	return ours, theirs, nil
}

func (b *bench) load(ctx context.Context, s *service, connections int, d time.Duration) (*answers, error) {
	c, err := gather(ctx, s.addr(), connections)
	if err != nil {
		return nil, err
	}
	a, err := c.vote(ctx, d)
	return a, errors.Join(err, c.leave())
}
