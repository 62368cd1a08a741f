// Command load casts votes at a constant rate, however they are answered, and reports how many were accepted and how
// fast:
//
//	go run ./scripts/load -rate 200 -duration 1m
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"petvote/infra/ledger"
	"petvote/infra/tool"
	"petvote/infra/voters"
)

const usage = `Usage: go run ./scripts/load [-rate N] [-duration D] [-url URL]

Casts votes at a constant rate, however they are answered, each with its own key, and prints how many
were accepted and how long the answers took. Ctrl-C ends it early. Exit status 1: a vote was not accepted.

`

func main() { os.Exit(tool.Main("load", run)) }

// run returns 0 if every vote was accepted, 1 if one was not, and 2 for bad arguments.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	var o options
	flags := tool.Flags("load", usage, progress)
	flags.StringVar(&o.base, "url", "http://localhost:8084", "the vote service, without /vote")
	flags.BoolVar(&o.remote, "remote", false, "allow a target on another machine; be sure that it is yours")
	flags.IntVar(&o.rate, "rate", 100, "votes per second")
	flags.DurationVar(&o.duration, "duration", 30*time.Second, "for how long")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	if status, ok := tool.Parse(flags, args, o.check); !ok {
		return status
	}
	s := attack(ctx, o, progress)
	fmt.Fprint(out, s)
	if s.counts["accepted"] < max(1, s.sent()) {
		return 1
	}
	return 0
}

type options struct {
	base              string // of the vote service
	remote            bool   // it may be on another machine
	rate              int    // votes per second
	duration, timeout time.Duration
}

func (o *options) check() error {
	u, err := url.Parse(o.base)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("-url %s: want http:// or https:// and a host", o.base)
	case o.rate < 1 || o.rate > 100_000:
		return fmt.Errorf("-rate %d: want 1 to 100000", o.rate)
	case o.duration <= 0 || o.duration > 24*time.Hour:
		return fmt.Errorf("-duration %v: want more than 0 and at most 24h", o.duration)
	case o.timeout <= 0:
		return fmt.Errorf("-timeout %v: want more than 0", o.timeout)
	case !o.remote && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		return fmt.Errorf("%s is not on this machine; -remote allows it", u.Hostname())
	}
	return nil
}

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
	latency := min(int64((a.At-a.Sent)*1e6), s.latencies.HighestTrackableValue())
	_ = s.latencies.RecordValue(latency) // fails only out of range
	_ = s.second.RecordValue(latency)
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
