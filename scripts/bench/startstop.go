package main

import (
	"context"
	"errors"
	"time"
)

// measureStartStop starts each service, and stops it while it is used: votes come in, and a page is open.
func measureStartStop(ctx context.Context, b *bench) (figures []figure, err error) {
	p, err := b.newPlatform(ctx, "", "0.01")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	starts, stops := map[*service][]float64{}, map[*service][]float64{}
	for range choose(b, 3, 1) {
		for _, s := range p.services() {
			c, err := gather(ctx, p.vote.addr(), 8)
			if err != nil {
				return nil, err
			}
			a := &audience{}
			if err := a.openSSE(ctx, p.result.addr()); err != nil {
				return nil, err
			}
			voting := make(chan struct{})
			go func() {
				defer close(voting)
				_, _ = c.vote(ctx, 1500*time.Millisecond) // when the service stops its votes end in errors
			}()
			began := time.Now()
			if err := s.Stop(ctx); err != nil {
				return nil, err
			}
			stops[s] = append(stops[s], time.Since(began).Seconds())
			<-voting
			a.leave()
			_ = c.leave()
			began = time.Now()
			if err := s.Start(ctx); err != nil {
				return nil, err
			}
			starts[s] = append(starts[s], time.Since(began).Seconds())
		}
	}
	for i, name := range []string{"worker", "result", "vote"} {
		s := p.services()[i]
		figures = append(figures,
			figure{Name: name + ": start to ready", Unit: "s", Value: median(starts[s])}.atMost(1),
			figure{Name: name + ": drain to exit, in use", Unit: "s", Value: median(stops[s])}.atMost(2))
	}
	return figures, nil
}
