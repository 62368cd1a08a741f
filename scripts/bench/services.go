package main

import (
	"context"
	"time"

	"petvote/infra/platform"
	"petvote/infra/voters"
	"petvote/infra/wait"
)

// sameMemory is the ratio up to which two figures of memory count as equal: the garbage collector's share varies.
const sameMemory = 1.25

// measureMemory takes the services' memory from the kernel.
func measureMemory(ctx context.Context, t *target) []figure {
	t.must(wait.For(ctx, choose(t.bench, 5*time.Second, time.Second)))
	idle, _ := t.memory(t.Vote, t.Worker, t.Result)
	t.saturate(ctx, 64, choose(t.bench, 10*time.Second, time.Second))
	t.balanced(ctx)
	_, peak := t.memory(t.Vote, t.Worker, t.Result)
	small, big := choose(t.bench, 50_000, 20_000), choose(t.bench, 1_000_000, 100_000)
	workerSmall, voteSmall := t.backlogged(ctx, small)
	workerBig, voteBig := t.backlogged(ctx, big)
	with, than := "with a backlog of "+number(float64(big)), "with "+number(float64(small))
	return []figure{
		figure{Name: "memory of vote, worker and result, idle", Unit: "MB", Value: idle}.atMost(75),
		{Name: "their peak while 64 connections vote", Unit: "MB", Value: peak},
		figure{Name: "the worker's peak " + with, Unit: "MB", Value: workerBig}.against(than, workerSmall).atMost(sameMemory),
		figure{Name: "vote's memory " + with, Unit: "MB", Value: voteBig}.against(than, voteSmall).atMost(sameMemory),
	}
}

// backlogged has a fresh worker store a backlog, and returns its peak, and vote's memory before.
func (t *target) backlogged(ctx context.Context, votes int) (worker, vote float64) {
	t.must(t.Worker.Stop(ctx))
	t.empty(ctx)
	t.fill(ctx, votes)
	vote, _ = t.memory(t.Vote)
	t.storeBacklog(ctx, votes)
	_, worker = t.memory(t.Worker)
	return worker, vote
}

// measureStartStop stops each service while votes come in and a page is open, and starts it again.
func measureStartStop(ctx context.Context, t *target) (figures []figure) {
	starts, stops := map[string][]float64{}, map[string][]float64{}
	for range choose(t.bench, 3, 1) {
		for _, name := range platform.Services {
			s, page := t.Service(name), t.open(ctx, 1, voters.SSE)
			l := newLoad(t.Vote.Addr(), 8)
			voted := make(chan *answers)
			go func() {
				a, _ := l.saturate(ctx, 1500*time.Millisecond) // votes fail when the service stops
				voted <- a
			}()
			stopped, err := seconds(func() error { return s.Stop(ctx) })
			t.count(<-voted)
			l.close()
			page.close()
			t.must(err)
			started, err := seconds(func() error { return s.Start(ctx) })
			t.must(err)
			starts[name], stops[name] = append(starts[name], started), append(stops[name], stopped)
		}
	}
	for _, name := range platform.Services {
		figures = append(figures,
			figure{Name: name + ": start to ready", Unit: "s", Value: median(starts[name])}.atMost(1),
			figure{Name: name + ": drain to exit, in use", Unit: "s", Value: median(stops[name])}.atMost(2))
	}
	return figures
}

func seconds(do func() error) (float64, error) {
	start := time.Now()
	err := do()
	return time.Since(start).Seconds(), err
}
