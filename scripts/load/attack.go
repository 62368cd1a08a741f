package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"petvote/shared/ballot"
)

// attack sends the votes and shows every second how it goes.
func attack(ctx context.Context, o options, progress io.Writer) *summary {
	attacker := vegeta.NewAttacker(vegeta.Timeout(o.timeout), vegeta.MaxWorkers(4096), vegeta.Redirects(vegeta.NoFollow))
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	s := &summary{options: o}
	results := attacker.Attack(votes(o.target), vegeta.Rate{Freq: o.rate, Per: time.Second}, o.duration, "votes")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	start := time.Now()
	var second vegeta.Metrics
	for {
		select {
		case r, more := <-results:
			if !more {
				s.metrics.Close()
				return s
			}
			s.metrics.Add(r)
			second.Add(r)
		case <-tick.C:
			second.Close()
			fmt.Fprintf(progress, "%4.0f s  %6d sent  %6d accepted  p99 %v\n", time.Since(start).Seconds(), s.metrics.Requests, s.accepted(),
				second.Latencies.P99.Round(100*time.Microsecond))
			second = vegeta.Metrics{}
		}
	}
}

// votes go to the pets in turn, each with a key of its own.
func votes(target string) vegeta.Targeter {
	var sent atomic.Uint64
	return func(t *vegeta.Target) error {
		key, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make key: %w", err)
		}
		choices := ballot.Choices()
		pet := choices[sent.Add(1)%uint64(len(choices))]
		t.Method, t.URL = http.MethodPost, target
		t.Body = []byte(`{"pet":"` + string(pet) + `"}`)
		t.Header = http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {key.String()}}
		return nil
	}
}

// summary is what became of the votes.
type summary struct {
	options
	metrics vegeta.Metrics
}

func (s *summary) accepted() uint64 { return uint64(s.metrics.StatusCodes["200"]) }

func (s *summary) String() string {
	var b strings.Builder
	m := &s.metrics
	fmt.Fprintf(&b, "sent      %d votes in %v, %.1f a second of %d wanted\n", m.Requests, m.Duration.Round(time.Millisecond), m.Rate, s.rate)
	fmt.Fprintf(&b, "accepted  %d\n", s.accepted())
	for _, code := range []int{http.StatusServiceUnavailable, http.StatusBadRequest, 0} {
		if n := m.StatusCodes[strconv.Itoa(code)]; n > 0 {
			fmt.Fprintf(&b, "%s%d\n", map[int]string{503: "refused   ", 400: "bad       ", 0: "no answer "}[code], n)
		}
	}
	fmt.Fprintf(&b, "latency   p50 %v  p95 %v  p99 %v  max %v\n", round(m.Latencies.P50), round(m.Latencies.P95), round(m.Latencies.P99), round(m.Latencies.Max))
	for _, e := range m.Errors[:min(len(m.Errors), 3)] {
		fmt.Fprintf(&b, "error     %s\n", e)
	}
	return b.String()
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
