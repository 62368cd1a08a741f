package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// schedule is when the votes of an open load are due: vote k at start + k × interval, whatever became of those before.
type schedule struct {
	start    time.Time
	interval time.Duration
	votes    int64
	before   int64 // votes that were counted before the first
}

func (s schedule) due(k int64) time.Time { return s.start.Add(time.Duration(k) * s.interval) }

// screen is what one or many viewers see. A push that shows a total of n shows votes up to the n-th: the total does not say which votes,
// so they are taken in the order in which they were due.
type screen struct {
	schedule
	skip   int64                // votes at the beginning that are not counted in the times
	counts [10_001]atomic.Int64 // by milliseconds; the last holds all that took longer
	behind atomic.Int64         // viewers that have not seen the last vote
}

// viewer is one page that is open.
type viewer struct {
	screen *screen
	seen   int64
}

func (v *viewer) show(data []byte, now time.Time) {
	s := v.screen
	total := min(sum(data)-s.before, s.votes)
	if total >= s.votes && v.seen < s.votes {
		s.behind.Add(-1)
	}
	for ; v.seen < total; v.seen++ {
		if v.seen >= s.skip {
			ms := now.Sub(s.due(v.seen)).Milliseconds()
			s.counts[max(0, min(ms, int64(len(s.counts)-1)))].Add(1)
		}
	}
}

// sum adds the numbers in {"dogs":n,"cats":n,"lizards":n}.
func sum(data []byte) (total int64) {
	var n int64
	for _, c := range data {
		if c >= '0' && c <= '9' {
			n = 10*n + int64(c-'0')
			continue
		}
		total, n = total+n, 0
	}
	return total + n
}

// percentile in milliseconds, rounded up.
func (s *screen) percentile(p float64) float64 {
	var all, passed int64
	for i := range s.counts {
		all += s.counts[i].Load()
	}
	for i := range s.counts {
		if passed += s.counts[i].Load(); float64(passed) >= p*float64(all) {
			return float64(i + 1)
		}
	}
	return float64(len(s.counts))
}

// audience is many viewers. Their connections are opened before the schedule is known, and read from when it is.
type audience struct {
	conns   []net.Conn
	sockets []*websocket.Conn
	reading sync.WaitGroup
}

func (a *audience) leave() {
	for _, c := range a.conns {
		_ = c.Close()
	}
	for _, c := range a.sockets {
		_ = c.Close()
	}
	a.reading.Wait()
}

func (a *audience) openSSE(ctx context.Context, addr string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	a.conns = append(a.conns, conn)
	_, err = conn.Write([]byte("GET /events HTTP/1.1\r\nHost: " + addr + "\r\n\r\n"))
	return err
}

func (a *audience) openSocket(ctx context.Context, addr string) error {
	conn, resp, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+addr+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	a.sockets = append(a.sockets, conn)
	return conn.WriteMessage(websocket.TextMessage, []byte("40"))
}

// watch shows on a screen the counts that are pushed, until the audience leaves. The traces that a push may bring are not
// looked at.
func (a *audience) watch(s *screen) {
	s.behind.Store(int64(len(a.conns) + len(a.sockets)))
	for _, conn := range a.conns {
		a.reading.Go(func() {
			v := &viewer{screen: s}
			for lines := bufio.NewReaderSize(conn, 512); ; {
				line, err := lines.ReadSlice('\n')
				if err != nil && !errors.Is(err, bufio.ErrBufferFull) { // a long header is read in pieces
					return
				}
				if data, ok := bytes.CutPrefix(line, []byte(`data: {"dogs"`)); ok {
					v.show(data, time.Now())
				}
			}
		})
	}
	for _, conn := range a.sockets {
		a.reading.Go(func() {
			v := &viewer{screen: s}
			for {
				_, message, err := conn.ReadMessage()
				if err != nil {
					return
				}
				if string(message) == "2" { // engine.io's ping
					_ = conn.WriteMessage(websocket.TextMessage, []byte("3"))
				}
				if data, ok := bytes.CutPrefix(message, []byte(`42["current_votes",`)); ok {
					v.show(data, time.Now())
				}
			}
		})
	}
}

// current waits until every viewer has seen the last vote.
func (s *screen) current(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("not every viewer has seen the last vote after 10 s"))
	defer cancel()
	for s.behind.Load() > 0 {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
