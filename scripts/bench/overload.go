package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"petvote/infra/wait"
)

// overloadConnections bound the overload, since a connection that waits for an answer sends no other vote. The service
// takes a few more (MAX_CONNECTIONS).
const overloadConnections = 8_000

// trulyTwice is the least load, as a multiple of the measured capacity, that counts as twice the capacity.
const trulyTwice = 1.8

// measureOverload measures the capacity and then offers twice as many votes. The limits for twice the capacity are
// judged only if that many votes could be sent.
func measureOverload(ctx context.Context, t *target) []figure {
	// This program and the service, which inherits the limit, open all connections and at most 500 other files.
	var files unix.Rlimit
	t.must(unix.Getrlimit(unix.RLIMIT_NOFILE, &files))
	if files.Cur < overloadConnections+500 {
		t.must(fmt.Errorf("%w: %d connections need as many open files, and the limit is %d: see ulimit -Hn",
			errNotMeasured, overloadConnections, files.Cur))
	}
	t.must(t.Worker.Pause())
	d := choose(t.bench, 4*time.Second, 2*time.Second)
	var capacities, sent, rates, p99s, sheds []float64
	for range choose(t.bench, 3, 1) {
		full := t.saturate(ctx, 512, d)
		over := t.overload(ctx, 2*full.perSecond(), d)
		capacities, rates = append(capacities, full.perSecond()), append(rates, over.perSecond())
		sent, p99s = append(sent, float64(over.sent)/d.Seconds()), append(p99s, over.p99())
		sheds = append(sheds, float64(over.shed)/over.took.Seconds())
	}
	t.must(t.Worker.Resume())
	capacity, connections := median(capacities), number(overloadConnections)
	name := "votes accepted with " + connections + " saturated connections"
	rate := figure{Name: name, Unit: "/s", Value: median(rates)}.against("capacity", capacity)
	p99 := figure{Name: "p99 of the accepted, from sending", Unit: "ms", Value: median(p99s)}
	twice := figure{Name: "twice the capacity", Verdict: refused, Note: fmt.Sprintf(
		"only %s/s of %s/s could be sent: all %s connections were waiting for answers",
		number(median(sent)), number(2*capacity), connections)}
	if median(sent) >= trulyTwice*capacity {
		rate, p99 = rate.atLeast(0.9), p99.atMost(2000)
		twice = figure{Name: "sent per second meanwhile", Unit: "/s", Value: median(sent)}.against("capacity", capacity)
	}
	return []figure{rate, p99, {Name: "refused with 503 meanwhile", Unit: "/s", Value: median(sheds)}, twice}
}

// overload offers votes over connections that are open already. Afterwards it sends votes until one is accepted: a
// breaker that opened under the load stays open for a moment.
func (t *target) overload(ctx context.Context, rate float64, d time.Duration) *answers {
	l := newLoad(t.Vote.Addr(), overloadConnections)
	defer l.close()
	others, err := l.saturate(ctx, time.Second)
	t.must(err)
	over, err := l.offer(ctx, rate, d, 0)
	t.must(err)
	before := others.accepted
	t.must(wait.Until(ctx, 5*time.Second, func(context.Context) error {
		err := l[0].vote(others)
		if err == nil && others.accepted == before {
			err = errors.New("no vote is accepted after the overload")
		}
		return err
	}))
	t.count(over)
	t.count(others)
	return over
}
