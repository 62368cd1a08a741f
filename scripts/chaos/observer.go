package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"sync"
	"time"

	"petvote/infra/containers"
	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/voters"
	"petvote/infra/wait"
	"petvote/scripts/chaos/record"
	"petvote/scripts/chaos/target"
)

// observer watches a scenario: the answers, an open results page, the queue, the store, and each service's health. Each
// has a loop of its own, so that one that hangs leaves a gap only in its own line.
type observer struct {
	target  target.Target
	answers *ledger.Ledger
	viewer  *voters.Viewer
	before  int64 // votes stored before the scenario

	watching sync.WaitGroup
	stop     context.CancelFunc

	mu            sync.Mutex
	queue, stored []record.Reading
	intervals     []record.Interval
	current       map[string]int       // index of the interval that goes on, by service and subject
	failed        map[string]time.Time // when a call failed last, by service and dependency
}

// observe watches until close is called, and logs the status now and then. It calls gone if the target was removed.
func observe(t target.Target, answers *ledger.Ledger, before ledger.Standings, log *log.Logger,
	gone context.CancelCauseFunc) *observer {
	ctx, stop := context.WithCancel(context.Background())
	o := &observer{target: t, answers: answers, before: before.Tally.Total(), stop: stop, current: make(map[string]int),
		failed: make(map[string]time.Time),
		viewer: voters.NewViewer(ctx, t.Addresses().Result, voters.SSE, answers.Began)}
	o.every(ctx, func(ctx context.Context) { o.read(ctx, t.Queued, &o.queue) })
	o.every(ctx, func(ctx context.Context) { o.read(ctx, t.Stored, &o.stored) })
	for _, service := range platform.Services {
		o.every(ctx, func(ctx context.Context) {
			h, err := t.Health(ctx, service)
			if errors.Is(err, containers.ErrNone) {
				gone(err)
			}
			if !errors.Is(ctx.Err(), context.Canceled) { // the end of the scenario is no silence of the service
				o.heard(service, h, err)
			}
		})
	}
	o.watching.Go(func() {
		for wait.For(ctx, statusEvery) == nil {
			log.Print(o.status())
		}
	})
	return o
}

func (o *observer) close() {
	o.stop()
	o.viewer.Wait()
	o.watching.Wait()
}

// at is the time in seconds since the scenario began.
func (o *observer) at() float64 { return time.Since(o.answers.Began).Seconds() }

// every repeats a look, which may take as long as the time between two of them, and at least a second.
func (o *observer) every(ctx context.Context, look func(context.Context)) {
	o.watching.Go(func() {
		for tick := time.Tick(o.target.Sampling()); ctx.Err() == nil; {
			bounded, cancel := context.WithTimeout(ctx, max(o.target.Sampling(), time.Second))
			look(bounded)
			cancel()
			select {
			case <-ctx.Done():
			case <-tick:
			}
		}
	})
}

func (o *observer) read(ctx context.Context, ask func(context.Context) (int64, error), into *[]record.Reading) {
	if n, err := ask(ctx); err == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		*into = append(*into, record.Reading{At: o.at(), Total: n})
	}
}

// heard turns a service's health into intervals.
func (o *observer) heard(service string, h target.Health, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.note(service, "readiness", "no answer", "")
		return
	}
	o.note(service, "readiness", h.Status, "ready")
	for _, d := range h.Dependencies {
		o.note(service, "breaker "+d.Name, d.Breaker, "closed")
		calls, key := "fine", service+" "+d.Name
		if before, known := o.failed[key]; known && d.ErrorAt.After(before) {
			calls = "failing"
		}
		o.failed[key] = d.ErrorAt
		o.note(service, "calls "+d.Name, calls, "fine")
	}
}

func (o *observer) note(service, what, state, normal string) {
	key, now := service+" "+what, o.at()
	if i, goesOn := o.current[key]; goesOn {
		o.intervals[i].To = now
		if o.intervals[i].State == state {
			return
		}
		delete(o.current, key)
	}
	if state != normal {
		o.current[key] = len(o.intervals)
		o.intervals = append(o.intervals, record.Interval{Service: service, What: what, State: state, From: now, To: now})
	}
}

// conclude ends the watching and adds the proof's findings to the readings, so that the lines end where the proof does.
func (o *observer) conclude(p ledger.Proof) {
	o.close()
	o.stored = append(o.stored, record.Reading{At: o.at(), Total: p.Tallied.Total()})
	o.queue = append(o.queue, record.Reading{At: o.at(), Total: p.Books.Waiting})
}

func (o *observer) seen() record.Observations {
	pushes, _ := o.viewer.Pushes()
	o.mu.Lock()
	defer o.mu.Unlock()
	return record.Observations{Answers: o.answers.Answers(), Pushes: pushes,
		Queue: slices.Clip(o.queue), Stored: slices.Clip(o.stored)}
}

func (o *observer) timeline() []record.Sample {
	return o.seen().Timeline(o.at(), 2.5*o.target.Sampling().Seconds(), o.before)
}

// status is a line that counts the votes at each place.
func (o *observer) status() string {
	samples := o.timeline()
	last := samples[len(samples)-1]
	number := func(n *int64) string {
		if n == nil {
			return "—"
		}
		return fmt.Sprint(*n)
	}
	accepted := o.answers.Count(ledger.Accepted)
	return fmt.Sprintf("  %5.1f s  accepted %d  not accepted %d  queue %s  stored %s  on screen %s", o.at(), accepted,
		len(o.answers.Answers())-accepted, number(last.Queue), number(last.Stored), number(last.OnScreen))
}
