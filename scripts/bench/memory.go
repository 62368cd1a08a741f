package main

import (
	"context"
	"errors"
	"time"
)

// growsNot is how much more memory than with a small backlog still counts as no more: the garbage collector's whims.
const growsNot = 1.25

// measureMemory looks at the services' memory as the kernel counts it.
func measureMemory(ctx context.Context, b *bench) (figures []figure, err error) {
	p, err := b.newPlatform(ctx, "", "0.01")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := pause(ctx, choose(b, 5*time.Second, time.Second)); err != nil {
		return nil, err
	}
	idle, _, err := p.memory()
	if err != nil {
		return nil, err
	}
	loaded, err := b.load(ctx, p.vote, 64, choose(b, 10*time.Second, time.Second))
	if err != nil {
		return nil, err
	}
	if err := p.balance(ctx, loaded.accepted); err != nil {
		return nil, err
	}
	_, peak, err := p.memory()
	if err != nil {
		return nil, err
	}
	small, big := choose(b, 50_000, 20_000), choose(b, 1_000_000, 100_000)
	with := "with a backlog of " + number(float64(big))
	than := "with " + number(float64(small))
	workerSmall, voteSmall, err := p.backlogged(ctx, small)
	if err != nil {
		return nil, err
	}
	workerBig, voteBig, err := p.backlogged(ctx, big)
	if err != nil {
		return nil, err
	}
	return []figure{
		figure{Name: "memory of vote, worker and result, idle", Unit: "MB", Value: idle}.atMost(75),
		{Name: "their peak while 64 connections vote", Unit: "MB", Value: peak},
		figure{Name: "the worker's peak " + with, Unit: "MB", Value: workerBig}.against(than, workerSmall).atMost(growsNot),
		figure{Name: "vote's memory " + with, Unit: "MB", Value: voteBig}.against(than, voteSmall).atMost(growsNot),
	}, nil
}

func (p *platform) memory() (now, peak float64, err error) {
	for _, s := range p.services() {
		n, m, err := s.memory()
		if err != nil {
			return 0, 0, err
		}
		now, peak = now+n, peak+m
	}
	return now, peak, nil
}

// backlogged has a worker that was just started store a backlog.
func (p *platform) backlogged(ctx context.Context, votes int) (worker, vote float64, err error) {
	if err := errors.Join(p.worker.Stop(ctx), p.empty(ctx), p.fill(ctx, votes)); err != nil {
		return 0, 0, err
	}
	if vote, _, err = p.vote.memory(); err != nil {
		return 0, 0, err
	}
	if _, err := p.storeBacklog(ctx, votes); err != nil {
		return 0, 0, err
	}
	_, worker, err = p.worker.memory()
	return worker, vote, err
}
