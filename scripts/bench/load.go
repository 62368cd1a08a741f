package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"petvote/shared/ballot"
)

// voter is a keep-alive connection that sends the same vote again and again. It speaks HTTP by itself, because the load
// shares the cores with the service that it measures: with many connections, fasthttp and fortio take a third more CPU
// for a request. Fortio also closes the connection after every refusal.
type voter struct {
	addr    string
	conn    net.Conn // nil before the first vote
	request []byte
	buffer  [1024]byte // holds the whole answer
}

// newLoad makes voters that connect with their first votes. The caller closes them.
func newLoad(addr string, connections int) load {
	l := make(load, connections)
	for i := range l {
		pets := ballot.Choices()
		body := `{"pet":"` + string(pets[i%len(pets)]) + `"}`
		l[i] = &voter{addr: addr, request: fmt.Appendf(nil, "POST /vote HTTP/1.1\r\nHost: %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body)}
	}
	return l
}

// dial opens a connection for a minute at most. It is closed by a reset, so that it does not occupy one of the 28,000
// local ports for longer.
func dial(addr string) (net.Conn, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return conn, errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.SetDeadline(time.Now().Add(time.Minute)))
}

// ask sends the request and returns the head of the answer when all of it is read.
func (v *voter) ask() (head []byte, err error) {
	if v.conn == nil {
		if v.conn, err = dial(v.addr); err != nil {
			return nil, err
		}
	}
	if _, err := v.conn.Write(v.request); err != nil {
		return nil, err
	}
	for read, whole := 0, len(v.buffer); read < whole; {
		n, err := v.conn.Read(v.buffer[read:])
		if err != nil {
			return nil, err
		}
		read += n
		var found bool
		if head, _, found = bytes.Cut(v.buffer[:read], []byte("\r\n\r\n")); found {
			_, length, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
			length, _, _ = bytes.Cut(length, []byte("\r\n"))
			n, err := strconv.Atoi(string(length))
			if whole = len(head) + len("\r\n\r\n") + n; err != nil || whole > len(v.buffer) {
				return nil, fmt.Errorf("an answer of unknown or great length: %q", head)
			}
		}
	}
	return head, nil
}

// answers count the outcomes of a load.
type answers struct {
	mu                   sync.Mutex
	sent, accepted, shed int
	failed               int                     // not among those sent
	latencies            *hdrhistogram.Histogram // of accepted votes, in µs
	took                 time.Duration
}

// newLatencies records up to 10 s, in µs. A vote that takes longer is an error.
func newLatencies() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, 10*time.Second.Microseconds(), 3)
}

func milliseconds(latencies *hdrhistogram.Histogram, percentile float64) float64 {
	return float64(latencies.ValueAtPercentile(percentile)) / 1000
}

func (a *answers) perSecond() float64 { return float64(a.accepted) / a.took.Seconds() }

func (a *answers) p99() float64 { return milliseconds(a.latencies, 99) }

var errRetryAfter = errors.New("a vote was answered with status 503 without Retry-After")

// vote sends one vote and counts the answer: 200, or 503 with Retry-After. Any other is an error. A vote that fails is
// not repeated, since it may have been accepted.
func (v *voter) vote(a *answers) error {
	start := time.Now()
	head, err := v.ask()
	took := time.Since(start)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.failed++
		return err
	}
	a.sent++
	switch status, _, _ := bytes.Cut(bytes.TrimPrefix(head, []byte("HTTP/1.1 ")), []byte(" ")); {
	case string(status) == strconv.Itoa(http.StatusOK):
		a.accepted++
		return a.latencies.RecordValue(took.Microseconds())
	case string(status) != strconv.Itoa(http.StatusServiceUnavailable):
		return fmt.Errorf("a vote was answered with status %s", status)
	case !bytes.Contains(head, []byte("\r\nRetry-After: ")):
		return errRetryAfter
	}
	a.shed++
	return nil
}

// load is a number of voters.
type load []*voter

func (l load) close() {
	for _, v := range l {
		if v.conn != nil {
			_ = v.conn.Close() // nothing is in it
		}
	}
}

// saturate keeps every voter busy for a time: each sends its next vote as soon as the last is answered.
func (l load) saturate(ctx context.Context, d time.Duration) (*answers, error) {
	a, start := &answers{latencies: newLatencies()}, time.Now()
	voters, stop := errgroup.WithContext(ctx)
	for _, v := range l {
		voters.Go(func() error {
			for time.Since(start) < d && stop.Err() == nil {
				if err := v.vote(a); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := voters.Wait()
	a.took = time.Since(start)
	return a, errors.Join(err, context.Cause(ctx))
}

// saturate loads an address that must accept every vote.
func saturate(ctx context.Context, addr string, connections int, d time.Duration) (*answers, error) {
	l := newLoad(addr, connections)
	defer l.close()
	a, err := l.saturate(ctx, d)
	if err == nil && a.shed > 0 {
		err = fmt.Errorf("%d of %d votes were refused", a.shed, a.sent)
	}
	return a, err
}

// offer sends votes at a rate for a time, each when it is due if a voter is free, and does not repeat those that are
// refused. Votes for which no voter became free before the end, or a while after it, are not sent. One goroutine waits
// for all due times, because 8,000 timers would take CPU from the service.
func (l load) offer(ctx context.Context, rate float64, d, after time.Duration) (*answers, error) {
	a, start := &answers{latencies: newLatencies()}, time.Now()
	free := make(chan *voter, len(l))
	for _, v := range l {
		free <- v
	}
	voters, stop := errgroup.WithContext(ctx)
	bound, cancel := context.WithDeadline(stop, start.Add(d+after))
	defer cancel()
	for k := 0; k < int(rate*d.Seconds()) && bound.Err() == nil; k++ {
		due := start.Add(time.Duration(float64(k) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			time.Sleep(max(wait, time.Millisecond)) // what became due meanwhile is sent at once
		}
		select {
		case v := <-free:
			voters.Go(func() error {
				defer func() { free <- v }()
				return v.vote(a)
			})
		case <-bound.Done():
		}
	}
	err := voters.Wait()
	a.took = time.Since(start)
	return a, errors.Join(err, context.Cause(ctx))
}
