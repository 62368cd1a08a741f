package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"petvote/infra/voters"
	"petvote/infra/wait"
)

// measureLatency watches a results page while votes come in at constant rates.
func measureLatency(ctx context.Context, t *target) (figures []figure) {
	for _, rate := range []int{50, 1000, 5000} {
		delays, _ := t.watch(ctx, voters.SSE, 1, rate, fullOrQuick(t.bench, 20, 2))
		name := "click to screen at " + number(float64(rate)) + " votes/s"
		figures = append(figures,
			figure{name: name + ", p50", unit: "ms", value: milliseconds(delays, 50)}.atMost(20),
			figure{name: name + ", p99", unit: "ms", value: milliseconds(delays, 99)}.atMost(80))
	}
	return figures
}

// measureViewers opens many results pages on one result service while twenty votes a second are cast.
func measureViewers(ctx context.Context, t *target) []figure {
	const rate = 20
	seconds := fullOrQuick(t.bench, 10, 2)
	pages := fullOrQuick(t.bench, 10_000, 1000)
	delays, sse := t.watch(ctx, voters.SSE, pages, rate, seconds)
	name := number(float64(pages)) + " viewers by SSE"
	pages = fullOrQuick(t.bench, 2000, 200)
	_, socketIO := t.watch(ctx, voters.SocketIO, pages, rate, seconds)
	return []figure{
		figure{name: name + ", current after, p99", unit: "ms", value: milliseconds(delays, 99)}.atMost(300),
		figure{name: name + ", memory each", unit: "KB", value: sse}.atMost(28),
		figure{name: number(float64(pages)) + " viewers by Socket.IO, memory each", unit: "KB", value: socketIO}.atMost(60),
	}
}

// watch has a fresh result service show the results on pages while votes are cast, all of which must be accepted. It
// returns how long after it was due each vote was on each page, but for those of the first second, and the service's
// memory a page, in KB.
func (t *target) watch(
	ctx context.Context, transport voters.Transport, pages, rate, seconds int,
) (*hdrhistogram.Histogram, float64) {
	t.say("  %d pages, %d votes/s for %d s", pages, rate, seconds)
	t.must(errors.Join(t.Result.Stop(ctx), t.Result.Start(ctx), wait.For(ctx, time.Second)))
	empty := t.memory(t.Result)
	c := t.open(ctx, pages, transport)
	defer c.close()
	before, err := t.Stored(ctx)
	t.must(err)
	connections := max(4, rate/50) // so few that none is idle until the service closes it
	start := time.Since(c.opened)
	votes, _, err := load(ctx, t.Vote.Addr(), connections, rate, time.Duration(seconds)*time.Second)
	t.must(err)
	t.accepted += votes
	t.must(c.current(ctx, before+int64(votes)))
	delays := newDelays()
	for _, v := range c.viewers {
		pushes, _ := v.Pushes()
		recordDelays(delays, start, rate, votes, pushes, before)
	}
	return delays, (t.memory(t.Result) - empty) / float64(pages)
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

// newDelays holds up to 10 s, in µs.
func newDelays() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, 10*time.Second.Microseconds(), 3)
}

func milliseconds(delays *hdrhistogram.Histogram, percentile float64) float64 {
	return float64(delays.ValueAtPercentile(percentile)) / 1000
}

// recordDelays records how long after it was due each vote was on a page. A total of n shows n votes: it does not say
// which, so they are taken in the order in which they were due.
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
