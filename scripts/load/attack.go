package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"petvote/infra/ledger"
	"petvote/infra/voters"
)

// summary counts the answers.
type summary struct {
	options
	mu                sync.Mutex
	counts            map[string]int
	latencies, second *hdrhistogram.Histogram // of the whole run and the current second, in µs
	last              float64                 // when the last vote was sent, in seconds
	errors            []string                // the first three that differ
}

// attack casts the votes, prints the progress every second and returns when every answer is in.
func attack(ctx context.Context, o options, progress io.Writer) *summary {
	s := &summary{options: o, counts: map[string]int{}}
	s.latencies = hdrhistogram.New(1, time.Hour.Microseconds(), 3)
	s.second = s.latencies.Clone()
	v := voters.Start(context.WithoutCancel(ctx), voters.Options{ // Ctrl-C cuts off no vote in flight
		URL: strings.TrimRight(o.base, "/") + "/vote", Rate: o.rate, Votes: max(1, int(o.duration.Seconds()*float64(o.rate))),
		Timeout: o.timeout, Record: s.add,
	})
	defer context.AfterFunc(ctx, v.Stop)()
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.Wait()
	}()
	tick := time.Tick(time.Second)
	for second := 1; ; second++ {
		select {
		case <-done:
			return s
		case <-tick:
			s.mu.Lock()
			fmt.Fprintf(progress, "%4d s  %6d sent  %6d accepted  p99 %v\n",
				second, s.sent(), s.counts["accepted"], percentile(s.second, 99))
			s.second.Reset()
			s.mu.Unlock()
		}
	}
}

func (s *summary) add(a ledger.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	outcome := "bad"
	switch {
	case a.Status == ledger.Accepted:
		outcome = "accepted"
	case a.Code == http.StatusServiceUnavailable:
		outcome = "refused"
	case a.Code == 0:
		outcome = "no answer"
	}
	s.counts[outcome]++
	if a.Error != "" && len(s.errors) < 3 && !slices.Contains(s.errors, a.Error) {
		s.errors = append(s.errors, a.Error)
	}
	s.last = max(s.last, a.Sent)
	latency := int64((a.At - a.Sent) * 1e6)
	_, _ = s.latencies.RecordValue(latency), s.second.RecordValue(latency)
}

func (s *summary) sent() int { return int(s.latencies.TotalCount()) }

func (s *summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sent      %d votes in %.3fs, %.1f a second of %d wanted\naccepted  %d\n",
		s.sent(), s.last, float64(s.sent())/max(s.last, 0.001), s.rate, s.counts["accepted"])
	for _, outcome := range []string{"refused", "bad", "no answer"} {
		if n := s.counts[outcome]; n > 0 {
			fmt.Fprintf(&b, "%-10s%d\n", outcome, n)
		}
	}
	l := s.latencies
	fmt.Fprintf(&b, "latency   p50 %v  p95 %v  p99 %v  max %v\n",
		percentile(l, 50), percentile(l, 95), percentile(l, 99), percentile(l, 100))
	for _, e := range s.errors {
		fmt.Fprintf(&b, "error     %s\n", e)
	}
	return b.String()
}

func percentile(latencies *hdrhistogram.Histogram, p float64) time.Duration {
	return (time.Duration(latencies.ValueAtPercentile(p)) * time.Microsecond).Round(10 * time.Microsecond)
}
