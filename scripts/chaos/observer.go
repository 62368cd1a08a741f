package main

import (
	"context"
	"sync"
	"time"
)

// observer looks at the platform all the while: the queue, the store, and what each service says of itself. Each is looked at
// by itself, so that one that hangs leaves a gap in its own line alone.
type observer struct {
	target   target
	start    time.Time
	watching sync.WaitGroup

	mu     sync.Mutex
	queue  []reading
	stored []reading
	spells map[string]*spell // the present one by service and what it is about
	past   []spell
}

// observe looks until ctx is done.
func observe(ctx context.Context, t target, start time.Time) *observer {
	o := &observer{target: t, start: start, spells: make(map[string]*spell)}
	o.every(ctx, func(ctx context.Context) {
		if n, err := t.queued(ctx); err == nil {
			o.mu.Lock()
			o.queue = append(o.queue, reading{o.now(), n})
			o.mu.Unlock()
		}
	})
	o.every(ctx, func(ctx context.Context) {
		if n, err := t.stored(ctx); err == nil {
			o.mu.Lock()
			o.stored = append(o.stored, reading{o.now(), n})
			o.mu.Unlock()
		}
	})
	for _, service := range services {
		o.every(ctx, func(ctx context.Context) {
			h, err := t.health(ctx, service)
			if ctx.Err() == context.Canceled {
				return // the end of the scenario is no silence of the service
			}
			o.hear(service, h, err)
		})
	}
	return o
}

// every looks again and again, each time for no longer than the time between two looks or a second.
func (o *observer) every(ctx context.Context, look func(context.Context)) {
	o.watching.Go(func() {
		tick := time.NewTicker(o.target.sampled())
		defer tick.Stop()
		for {
			bounded, cancel := context.WithTimeout(ctx, max(o.target.sampled(), time.Second))
			look(bounded)
			cancel()
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// hear turns what a service says into spells.
func (o *observer) hear(service string, h health, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	const readiness = "readiness"
	if err != nil {
		o.note(service, readiness, "no answer", "")
		return
	}
	o.note(service, readiness, h.Status, "ready")
	for _, d := range h.Dependencies {
		o.note(service, "breaker "+d.Name, d.Breaker, "closed")
	}
}

func (o *observer) note(service, what, state, well string) {
	key, now := service+" "+what, o.now()
	if present := o.spells[key]; present != nil {
		present.To = now
		if present.State == state {
			return
		}
		o.past = append(o.past, *present)
		delete(o.spells, key)
	}
	if state != well {
		o.spells[key] = &spell{Service: service, What: what, State: state, From: now, To: now}
	}
}

// conclude adds what the proof has found to what was seen, so that the lines end where it did.
func (o *observer) conclude(p proof) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stored = append(o.stored, reading{o.now(), p.Tally})
	o.queue = append(o.queue, reading{o.now(), p.Books.Waiting})
}

// episodes are all spells so far.
func (o *observer) episodes() []spell {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.past[:len(o.past):len(o.past)]
	for _, present := range o.spells {
		all = append(all, *present)
	}
	return all
}

// readings are those of the queue and of the store so far.
func (o *observer) readings() (queue, stored []reading) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queue[:len(o.queue):len(o.queue)], o.stored[:len(o.stored):len(o.stored)]
}

func (o *observer) now() float64 { return time.Since(o.start).Seconds() }
