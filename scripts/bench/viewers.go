package main

import (
	"context"
	"errors"
	"time"
)

// measureViewers opens many results pages on one process and votes twenty times a second, so that there is a push every tenth.
func measureViewers(ctx context.Context, b *bench) (figures []figure, err error) {
	const rate = 20
	p, err := b.newPlatform(ctx, "", "0.01")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	accepted := 0
	crowds := []struct {
		name string
		n    int
		open func(*audience, context.Context, string) error
	}{
		{"SSE", 1000, (*audience).openSSE},
		{"SSE", choose(b, 10_000, 2000), (*audience).openSSE},
		{"Socket.IO", choose(b, 1000, 200), (*audience).openSocket},
	}
	for _, c := range choose(b, crowds, crowds[1:]) {
		if err := errors.Join(p.result.Stop(ctx), p.result.Start(ctx)); err != nil { // so that its memory is that of these viewers alone
			return nil, err
		}
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
		empty, _, err := p.result.memory()
		if err != nil {
			return nil, err
		}
		s := &screen{skip: rate, schedule: schedule{interval: time.Second / rate, votes: choose[int64](b, 10, 2) * rate, before: int64(accepted)}}
		full, err := p.crowded(ctx, s, c.n, c.open)
		if err != nil {
			return nil, err
		}
		accepted += int(s.votes)
		name := number(float64(c.n)) + " viewers by " + c.name
		p99 := figure{Name: name + ", current after, p99", Unit: "ms", Value: s.percentile(0.99)}
		memory := figure{Name: name + ", memory a viewer", Unit: "KB", Value: (full - empty) * 1000 / float64(c.n)}
		if c.name == "SSE" && c.n > 1000 {
			p99, memory = p99.atMost(500), memory.atMost(30)
		}
		figures = append(figures, p99, memory)
	}
	return figures, p.balance(ctx, accepted)
}

// crowded opens the pages, votes, and returns the memory of the result service with all of them open.
func (p *platform) crowded(ctx context.Context, s *screen, n int, open func(*audience, context.Context, string) error) (memory float64, err error) {
	a := &audience{}
	defer a.leave()
	for range n {
		if err := open(a, ctx, p.result.addr()); err != nil {
			return 0, err
		}
	}
	c, err := gather(ctx, p.vote.addr(), 4)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.leave()) }()
	s.start = time.Now().Add(time.Second) // for the first push to each
	a.watch(s)
	if _, err := c.follow(ctx, s.schedule); err != nil {
		return 0, err
	}
	if err := s.current(ctx); err != nil {
		return 0, err
	}
	memory, _, err = p.result.memory()
	return memory, err
}
