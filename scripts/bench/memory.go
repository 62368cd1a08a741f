package main

import (
	"context"
	"errors"
	"time"

	"petvote/infra/wait"
)

// sameMemory is the ratio up to which two figures of memory count as equal: the garbage collector's share varies.
const sameMemory = 1.25

// measureMemory takes the services' memory from the kernel.
func measureMemory(ctx context.Context, t *target) ([]figure, error) {
	if err := wait.For(ctx, choose(t.bench, 5*time.Second, time.Second)); err != nil {
		return nil, err
	}
	idle, _, err := memory(t.Vote, t.Worker, t.Result)
	if err != nil {
		return nil, err
	}
	if _, err := t.saturate(ctx, 64, choose(t.bench, 10*time.Second, time.Second)); err != nil {
		return nil, err
	}
	if err := t.balanced(ctx); err != nil {
		return nil, err
	}
	_, peak, err := memory(t.Vote, t.Worker, t.Result)
	if err != nil {
		return nil, err
	}
	small, big := choose(t.bench, 50_000, 20_000), choose(t.bench, 1_000_000, 100_000)
	workerSmall, voteSmall, err := t.backlogged(ctx, small)
	if err != nil {
		return nil, err
	}
	workerBig, voteBig, err := t.backlogged(ctx, big)
	if err != nil {
		return nil, err
	}
	with, than := "with a backlog of "+number(float64(big)), "with "+number(float64(small))
	return []figure{
		figure{Name: "memory of vote, worker and result, idle", Unit: "MB", Value: idle}.atMost(75),
		{Name: "their peak while 64 connections vote", Unit: "MB", Value: peak},
		figure{Name: "the worker's peak " + with, Unit: "MB", Value: workerBig}.against(than, workerSmall).atMost(sameMemory),
		figure{Name: "vote's memory " + with, Unit: "MB", Value: voteBig}.against(than, voteSmall).atMost(sameMemory),
	}, nil
}

// backlogged has a fresh worker store a backlog, and returns its peak, and vote's memory before.
func (t *target) backlogged(ctx context.Context, votes int) (worker, vote float64, err error) {
	if err := errors.Join(t.Worker.Stop(ctx), t.empty(ctx), t.fill(ctx, votes)); err != nil {
		return 0, 0, err
	}
	if vote, _, err = memory(t.Vote); err != nil {
		return 0, 0, err
	}
	if _, err := t.storeBacklog(ctx, votes); err != nil {
		return 0, 0, err
	}
	_, worker, err = memory(t.Worker)
	return worker, vote, err
}
