package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"petvote/infra/voters"
	"petvote/infra/wait"
)

// crowd is a number of open results pages.
type crowd struct {
	opened  time.Time
	viewers []*voters.Viewer
	leave   context.CancelFunc
}

// openAtOnce is how many pages open at once: more connections than that could overflow the kernel's queue.
const openAtOnce = 200

// open opens pages and returns when each shows the results.
func (t *target) open(ctx context.Context, pages int, transport voters.Transport) (*crowd, error) {
	ctx, leave := context.WithCancel(ctx)
	c := &crowd{opened: time.Now(), leave: leave}
	for range pages {
		c.viewers = append(c.viewers, voters.NewViewer(ctx, t.Result.URL(""), transport, c.opened))
		if n := len(c.viewers); n%openAtOnce == 0 || n == pages {
			if err := c.current(ctx, 0); err != nil {
				c.close()
				return nil, err
			}
		}
	}
	return c, nil
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
