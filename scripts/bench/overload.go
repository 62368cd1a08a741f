package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sys/unix"
)

// overloadVoters is how many connections an open load has. It is bounded by them, as it is by the number of voters anywhere: who
// waits for an answer sends no other vote. The service takes a few more (MAX_CONNECTIONS).
const overloadVoters = 8_000

// trulyTwice is the least load that counts as twice the capacity, which the run before has measured.
const trulyTwice = 1.8

// measureOverload finds out how many votes a second the service takes, and then offers twice as many, whatever becomes of them. What is
// asked of it at twice its capacity is judged only if so many could be sent.
func measureOverload(ctx context.Context, b *bench) (figures []figure, err error) {
	if err := enoughFiles(); err != nil {
		return nil, err
	}
	p, err := b.newPlatform(ctx, "", "0.01")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.worker.Pause(); err != nil {
		return nil, err
	}
	d := choose(b, 4*time.Second, 2*time.Second)
	var capacities, sent, rates, p99s, sheds []float64
	accepted, shed := 0, 0
	for range choose(b, 3, 1) {
		full, err := b.load(ctx, p.vote, 512, d)
		if err != nil {
			return nil, err
		}
		capacity := full.perSecond()
		over, err := p.overload(ctx, 2*capacity, d)
		if err != nil {
			return nil, err
		}
		if err := p.recovered(ctx); err != nil {
			return nil, err
		}
		accepted += full.accepted + over.accepted + 1
		shed += over.shed
		capacities, rates = append(capacities, capacity), append(rates, over.perSecond())
		sent = append(sent, float64(over.sent)/d.Seconds())
		p99s = append(p99s, milliseconds(percentile(over.times, 0.99)))
		sheds = append(sheds, float64(over.shed)/over.took.Seconds())
	}
	if err := p.worker.Resume(); err != nil {
		return nil, err
	}
	if err := p.covers(ctx, accepted, shed); err != nil {
		return nil, err
	}
	capacity := median(capacities)
	rate := figure{Name: "votes accepted per second from " + number(overloadVoters) + " connections that do not rest", Unit: "/s", Value: median(rates)}.against("capacity", capacity)
	p99 := figure{Name: "p99 of the accepted, from when they were sent", Unit: "ms", Value: median(p99s)}
	twice := figure{Name: "twice the capacity", Verdict: refused, Note: fmt.Sprintf("only %s/s of %s/s could be sent, since for the others all %s connections waited for an answer",
		number(median(sent)), number(2*capacity), number(overloadVoters))}
	if median(sent) >= trulyTwice*capacity {
		rate, p99 = rate.atLeast(0.9), p99.atMost(2000)
		twice = figure{Name: "sent per second meanwhile", Unit: "/s", Value: median(sent)}.against("capacity", capacity)
	}
	return []figure{rate, p99, {Name: "refused with 503 meanwhile", Unit: "/s", Value: median(sheds)}, twice}, nil
}

// recovered waits until one more vote is accepted: a breaker that opened under the load stays open for a moment.
func (p *platform) recovered(ctx context.Context) error {
	v, err := dial(ctx, p.vote.addr(), 0)
	if err != nil {
		return err
	}
	defer v.conn.Close()
	if err := v.conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin, errors.New("after the overload no vote is accepted"))
	defer cancel()
	for {
		if status, err := v.vote(); err != nil || status == http.StatusOK {
			return err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func (p *platform) overload(ctx context.Context, rate float64, d time.Duration) (a *answers, err error) {
	c, err := assemble(ctx, p.vote.addr(), overloadVoters)
	defer func() { err = errors.Join(err, c.leave()) }()
	if err != nil {
		return nil, err
	}
	return c.offer(ctx, schedule{start: time.Now(), interval: time.Duration(float64(time.Second) / rate), votes: int64(rate * d.Seconds())})
}

// assemble is gather for so many that the first would have to wait for the last: the service closes a connection on which nothing
// comes for 2 s, so each asks at once for something that costs nothing. In the end they are closed by a reset: otherwise their ports
// would be taken for a minute, of which there are 28,000 in all.
func assemble(ctx context.Context, addr string, n int) (c crowd, err error) {
	for i := range n {
		v, err := dial(ctx, addr, i)
		if err != nil {
			return c, fmt.Errorf("connection %d of %d: %w", i, n, err)
		}
		c = append(c, v)
		if tcp, ok := v.conn.(*net.TCPConn); ok {
			err = tcp.SetLinger(0)
		}
		status, failed := v.ask([]byte("GET /healthz HTTP/1.1\r\nHost: " + addr + "\r\n\r\n"))
		if err = errors.Join(err, failed); err != nil {
			return c, fmt.Errorf("connection %d of %d: %w", i, n, err)
		}
		if status != http.StatusOK {
			return c, fmt.Errorf("the probe was answered with status %d", status)
		}
	}
	return c, nil
}

// enoughFiles checks that this program and the service, which inherits the limit, can have all connections open. Go has
// raised its own limit to the hard one.
func enoughFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	const others = 500 // at most
	if limit.Cur < overloadVoters+others {
		return fmt.Errorf("%w: %d connections need as many open files, and the limit is %d: see ulimit -Hn", errNotMeasured, overloadVoters, limit.Cur)
	}
	return nil
}
