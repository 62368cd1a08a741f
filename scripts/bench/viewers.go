package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"petvote/infra/voters"
	"petvote/infra/wait"
)

// measureLatency watches a results page, and the length of the queue, while votes come in at constant rates.
func measureLatency(ctx context.Context, t *target) (figures []figure) {
	page := t.open(ctx, 1, voters.SSE)
	defer page.close()
	for _, rate := range []int{50, 1000, 5000} {
		var lengths []float64
		sampling, stop := context.WithCancel(ctx)
		var sampler errgroup.Group
		sampler.Go(func() error {
			for wait.For(sampling, 100*time.Millisecond) == nil {
				n, err := t.Queued(ctx)
				if err != nil {
					return err
				}
				lengths = append(lengths, float64(n))
			}
			return nil
		})
		delays, err := t.cast(ctx, page, rate, choose(t.bench, time.Minute, 2*time.Second))
		stop()
		t.must(errors.Join(err, sampler.Wait()))
		name := "click to screen at " + number(float64(rate)) + " votes/s"
		growth := median(lengths[len(lengths)/2:]) - median(lengths[:len(lengths)/2])
		figures = append(figures,
			figure{Name: name + ", p50", Unit: "ms", Value: milliseconds(delays, 50)}.atMost(25),
			figure{Name: name + ", p99", Unit: "ms", Value: milliseconds(delays, 99)}.atMost(250),
			figure{Name: name + ", growth of the queue in the second half", Unit: "votes", Value: growth}.
				atMost(float64(rate)/10))
	}
	return figures
}

// measureViewers opens many results pages on one result service while twenty votes a second are cast.
func measureViewers(ctx context.Context, t *target) (figures []figure) {
	const rate = 20
	d := choose(t.bench, 10*time.Second, 2*time.Second)
	crowds := []struct {
		name      string
		pages     int
		transport voters.Transport
	}{
		{"SSE", 1000, voters.SSE},
		{"SSE", choose(t.bench, 10_000, 2000), voters.SSE},
		{"Socket.IO", choose(t.bench, 1000, 200), voters.SocketIO},
	}
	for _, c := range choose(t.bench, crowds, crowds[1:]) {
		// A fresh service, so that its memory is that of these viewers alone.
		t.must(errors.Join(t.Result.Stop(ctx), t.Result.Start(ctx), wait.For(ctx, time.Second)))
		empty, _ := t.memory(t.Result)
		crowd := t.open(ctx, c.pages, c.transport)
		delays, err := t.cast(ctx, crowd, rate, d)
		full, _ := t.memory(t.Result)
		crowd.close()
		t.must(err)
		name := number(float64(c.pages)) + " viewers by " + c.name
		p99 := figure{Name: name + ", current after, p99", Unit: "ms", Value: milliseconds(delays, 99)}
		each := figure{Name: name + ", memory a viewer", Unit: "KB", Value: (full - empty) * 1000 / float64(c.pages)}
		if c.name == "SSE" && c.pages > 1000 {
			p99, each = p99.atMost(500), each.atMost(30)
		}
		figures = append(figures, p99, each)
	}
	return figures
}

// crowd is a number of open results pages.
type crowd struct {
	opened  time.Time
	viewers []*voters.Viewer
	leave   context.CancelFunc
}

// openAtOnce is how many pages open at once: more connections than that could overflow the kernel's queue.
const openAtOnce = 200

// open opens pages and returns when each shows the results.
func (t *target) open(ctx context.Context, pages int, transport voters.Transport) *crowd {
	ctx, leave := context.WithCancel(ctx)
	c := &crowd{opened: time.Now(), leave: leave}
	for range pages {
		c.viewers = append(c.viewers, voters.NewViewer(ctx, t.Result.URL(""), transport, c.opened))
		if n := len(c.viewers); n%openAtOnce == 0 || n == pages {
			if err := c.current(ctx, 0); err != nil {
				c.close()
				t.must(err)
			}
		}
	}
	return c
}

func (c *crowd) close() {
	c.leave()
	for _, v := range c.viewers {
		v.Wait()
	}
}

// current waits until every page has shown a total.
func (c *crowd) current(ctx context.Context, total int64) error {
	return wait.Until(ctx, 10*time.Second, func(context.Context) error {
		behind := slices.ContainsFunc(c.viewers, func(v *voters.Viewer) bool {
			pushes, _ := v.Pushes()
			return len(pushes) == 0 || pushes[len(pushes)-1].Total < total
		})
		if behind {
			return fmt.Errorf("not every page shows %d votes", total)
		}
		return nil
	})
}

// cast sends votes at a rate, all of which must be accepted, and returns how long after they were due they were on each
// page, but for those of the first second.
func (t *target) cast(ctx context.Context, c *crowd, rate int, d time.Duration) (*hdrhistogram.Histogram, error) {
	before, err := t.Stored(ctx)
	if err != nil {
		return nil, err
	}
	votes := rate * int(d.Seconds())
	l := newLoad(t.Vote.Addr(), max(4, rate/50)) // so few that none is idle until the service closes it
	defer l.close()
	start := time.Since(c.opened)
	a, err := l.offer(ctx, float64(rate), d, 5*time.Second)
	t.count(a)
	if err == nil && a.accepted < votes {
		err = fmt.Errorf("only %d of %d votes were accepted, %d were refused", a.accepted, votes, a.shed)
	}
	if err == nil {
		err = c.current(ctx, before+int64(votes))
	}
	delays := newLatencies()
	for _, v := range c.viewers {
		pushes, _ := v.Pushes()
		recordDelays(delays, start, rate, votes, pushes, before)
	}
	return delays, err
}

// recordDelays records how long after it was due each vote was on a page. A total of n shows the votes up to the n-th:
// it does not say which votes, so they are taken in the order in which they were due.
func recordDelays(
	into *hdrhistogram.Histogram, start time.Duration, rate, votes int, pushes []voters.Push, before int64,
) {
	seen := 0
	for _, p := range pushes {
		for ; seen < votes && int64(seen) < p.Total-before; seen++ {
			if seen >= rate { // not of the first second
				delay := int64((p.At - start.Seconds() - float64(seen)/float64(rate)) * 1e6)
				_ = into.RecordValue(max(0, min(delay, into.HighestTrackableValue()))) // so it is within the bounds
			}
		}
	}
}
