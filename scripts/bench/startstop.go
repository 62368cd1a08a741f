package main

import (
	"context"
	"time"

	"petvote/infra/platform"
	"petvote/infra/voters"
)

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
