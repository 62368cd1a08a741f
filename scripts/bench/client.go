package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// voter is one keep-alive connection. It is written by hand, because on two cores all that the load costs is missing where
// the service is measured: a request made beforehand, one write, and mostly one read.
type voter struct {
	n        int // its number among all
	conn     net.Conn
	answered bool // at least once
	request  []byte
	buffer   [4096]byte
}

// answerWithin is how long a vote may take before its run counts as one with errors: the service promises 2 s.
const answerWithin = 5 * time.Second

func dial(ctx context.Context, addr string, n int) (*voter, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(time.Minute)) // until a load sets its own
	}
	if err != nil {
		return nil, err
	}
	body := `{"pet":"` + [...]string{"dogs", "cats", "lizards"}[n%3] + `"}`
	return &voter{n: n, conn: conn, request: fmt.Appendf(nil, "POST /vote HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		addr, len(body), body)}, nil
}

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("Content-Length: ")
	retryAfter    = []byte("\r\nRetry-After: ")
	errAnswer     = errors.New("not an HTTP answer with a length")
	errRetryAfter = errors.New("a vote was answered with status 503 without Retry-After")
)

// vote sends one vote and returns the status of the answer.
func (v *voter) vote() (int, error) { return v.ask(v.request) }

func (v *voter) ask(request []byte) (int, error) {
	if _, err := v.conn.Write(request); err != nil {
		return 0, err
	}
	read, want := 0, -1
	for read < len(v.buffer) && read != want {
		n, err := v.conn.Read(v.buffer[read:])
		if err != nil {
			return 0, err
		}
		read += n
		if end := bytes.Index(v.buffer[:read], headEnd); want < 0 && end >= 0 {
			length, err := bodyLength(v.buffer[:end])
			if err != nil {
				return 0, err
			}
			want = end + len(headEnd) + length
		}
	}
	if read != want {
		return 0, errAnswer
	}
	v.answered = true
	status, err := strconv.Atoi(string(v.buffer[len("HTTP/1.1 "):len("HTTP/1.1 200")]))
	if status == http.StatusServiceUnavailable && !bytes.Contains(v.buffer[:read], retryAfter) {
		return status, errRetryAfter
	}
	return status, err
}

func (v *voter) redial(ctx context.Context) error {
	addr := v.conn.RemoteAddr().String()
	_ = v.conn.Close() // nothing was in it
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err == nil {
		v.conn = conn
		err = conn.SetDeadline(time.Now().Add(time.Minute))
	}
	return err
}

func bodyLength(head []byte) (int, error) {
	_, after, ok := bytes.Cut(head, contentLength)
	if !ok || len(head) < len("HTTP/1.1 200") {
		return 0, errAnswer
	}
	digits, _, _ := bytes.Cut(after, headEnd[:2])
	return strconv.Atoi(string(digits))
}

// answers is what came of a load.
type answers struct {
	sent           int             // noted by an open load
	accepted, shed int             // shed with 503 and Retry-After
	times          []time.Duration // of the accepted, sorted
	took           time.Duration
}

// note counts one answer to a vote that was sent then.
func (a *answers) note(status int, sent time.Time) error {
	switch status {
	case http.StatusOK:
		a.accepted++
		a.times = append(a.times, time.Since(sent))
	case http.StatusServiceUnavailable:
		a.shed++
	default:
		return fmt.Errorf("a vote was answered with status %d", status)
	}
	return nil
}

func add(all []answers, took time.Duration) *answers {
	sum := &answers{took: took}
	for _, a := range all {
		sum.accepted += a.accepted
		sum.shed += a.shed
		sum.times = append(sum.times, a.times...)
	}
	slices.Sort(sum.times)
	return sum
}

func (a *answers) perSecond() float64 { return float64(a.accepted) / a.took.Seconds() }

// crowd is many voters.
type crowd []*voter

func gather(ctx context.Context, addr string, n int) (crowd, error) {
	var c crowd
	for i := range n {
		v, err := dial(ctx, addr, i)
		if err != nil {
			return c, errors.Join(err, c.leave())
		}
		c = append(c, v)
	}
	return c, nil
}

func (c crowd) leave() error {
	var failed []error
	for _, v := range c {
		failed = append(failed, v.conn.Close())
	}
	return errors.Join(failed...)
}

// vote has each voter send one vote after the other for a time. Any other answer than 200 is an error.
func (c crowd) vote(ctx context.Context, d time.Duration) (*answers, error) {
	deadline := time.Now().Add(d)
	return c.each(ctx, d, func(v *voter, mine *answers) error {
		for now := time.Now(); now.Before(deadline) && ctx.Err() == nil; {
			status, err := v.vote()
			then := time.Now()
			if err != nil {
				return err
			}
			if status != 200 {
				return fmt.Errorf("a vote was answered with status %d", status)
			}
			mine.accepted++
			mine.times = append(mine.times, then.Sub(now))
			now = then
		}
		return nil
	})
}

// each lets all voters act at once and adds up what they got.
func (c crowd) each(ctx context.Context, d time.Duration, act func(*voter, *answers) error) (*answers, error) {
	got, failed := make([]answers, len(c)), make([]error, len(c))
	start := time.Now()
	var all sync.WaitGroup
	for i, v := range c {
		if err := v.conn.SetDeadline(start.Add(d + answerWithin)); err != nil {
			return nil, err
		}
		all.Go(func() { failed[i] = act(v, &got[i]) })
	}
	all.Wait()
	sum := add(got, time.Since(start))
	failed = slices.DeleteFunc(failed, func(err error) bool { return err == nil })
	if len(failed) > 0 {
		return sum, fmt.Errorf("%d of %d connections had errors, one of them: %w", len(failed), len(c), failed[0])
	}
	return sum, context.Cause(ctx)
}
