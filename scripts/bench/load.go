package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"petvote/infra/wait"
	"petvote/shared/ballot"
)

// voter is a keep-alive connection that sends the same vote again and again. It speaks HTTP by itself, because the load
// shares the cores with the service that it measures: with many connections, fasthttp and fortio take a third more CPU
// for a request.
type voter struct {
	conn    net.Conn
	request []byte
	buffer  [1024]byte // holds the whole answer
}

// newVoter opens a connection for a minute at most.
func newVoter(addr string, pet ballot.Choice) (*voter, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	body := fmt.Sprintf(`{"pet":%q}`, pet)
	return &voter{conn: conn, request: fmt.Appendf(nil, "POST /vote HTTP/1.1\r\nHost: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body),
	}, conn.SetDeadline(time.Now().Add(time.Minute))
}

// vote sends the vote and reads the whole answer, which must have status 200.
func (v *voter) vote() error {
	if _, err := v.conn.Write(v.request); err != nil {
		return err
	}
	for read := 0; ; {
		n, err := v.conn.Read(v.buffer[read:])
		if err != nil {
			return err
		}
		read += n
		head, body, whole := bytes.Cut(v.buffer[:read], []byte("\r\n\r\n"))
		if whole {
			_, length, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
			length, _, _ = bytes.Cut(length, []byte("\r\n"))
			n, err := strconv.Atoi(string(length))
			whole = err == nil && len(body) == n
		}
		switch {
		case whole && bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")):
			return nil
		case whole || read == len(v.buffer):
			return fmt.Errorf("a vote was answered %q", v.buffer[:read])
		}
	}
}

// load sends votes over connections for a time, all of which must be accepted. At a rate, each is sent when it is due
// and its connection has the answer to the last; without one, at rate 0, each as soon as the last is answered.
func load(
	ctx context.Context, addr string, connections, rate int, d time.Duration,
) (accepted int, took time.Duration, err error) {
	var sum atomic.Int64
	start := time.Now()
	voting, stop := errgroup.WithContext(ctx)
	for i := range connections {
		voting.Go(func() error {
			v, err := newVoter(addr, ballot.Choices()[i%len(ballot.Choices())])
			if err != nil {
				return err
			}
			defer v.conn.Close()
			for n := i; ; n += connections {
				due := time.Since(start)
				if rate > 0 {
					due = time.Duration(n) * time.Second / time.Duration(rate)
				}
				if due >= d {
					return nil
				}
				if rate > 0 && wait.For(stop, time.Until(start.Add(due))) != nil || stop.Err() != nil {
					return nil
				}
				if err := v.vote(); err != nil {
					return err
				}
				sum.Add(1)
			}
		})
	}
	err = voting.Wait()
	return int(sum.Load()), time.Since(start), errors.Join(err, context.Cause(ctx))
}
