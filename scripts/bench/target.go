package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/procfs"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
)

// target is the platform that a row measures, with empty data, and the sum of the row's votes.
type target struct {
	*bench
	*platform.Platform
	accepted int
	unsure   int   // refused or without an answer: any of them may have been accepted nevertheless
	err      error // ends the row
}

// must ends the row at an error, as testing.T.Fatal ends a test. Only the row's own goroutine may call it.
func (t *target) must(err error) {
	if err != nil {
		t.err = err
		runtime.Goexit()
	}
}

func (t *target) count(a *answers) {
	t.accepted += a.accepted
	t.unsure += a.shed + a.failed
}

// saturate keeps connections to the vote service busy, which must accept every vote.
func (t *target) saturate(ctx context.Context, connections int, d time.Duration) *answers {
	a, err := saturate(ctx, t.Vote.Addr(), connections, d)
	t.must(err)
	t.count(a)
	return a
}

// measurement yields the figures of a row on a platform.
type measurement func(context.Context, *target) []figure

// untraced makes a row of a measurement whose traces, of one vote in a hundred, are received and dropped.
func untraced(measure measurement) func(context.Context, *bench) ([]figure, error) {
	return func(ctx context.Context, b *bench) ([]figure, error) {
		sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/x-protobuf")
		}))
		defer sink.Close()
		return b.onPlatform(ctx, sink.URL, "0.01", measure)
	}
}

// onPlatform starts a platform that sends a share of its traces to an endpoint, and closes it after the measurement,
// even after Ctrl-C.
func (b *bench) onPlatform(ctx context.Context, endpoint, share string, measure measurement) (f []figure, err error) {
	dir, err := os.MkdirTemp(b.dir, "platform-")
	if err != nil {
		return nil, err
	}
	p, err := platform.Start(ctx, platform.Options{
		Dir: dir, Bin: b.dir,
		Env: []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint, "OTEL_TRACES_SAMPLER=parentbased_traceidratio",
			"OTEL_TRACES_SAMPLER_ARG=" + share,
		},
		Redis:    func(c *servers.RedisConfig) { c.MaxMemory = "2gb" },
		Postgres: func(c *servers.PostgresConfig) { c.Settings = append(c.Settings, "max_wal_size=4GB") },
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close(context.WithoutCancel(ctx))) }()
	if b.servers, err = describeServers(ctx, p); err != nil {
		return nil, err
	}
	t := &target{bench: b, Platform: p}
	var row sync.WaitGroup
	row.Go(func() {
		f = measure(ctx, t)
		t.balanced(ctx)
	})
	row.Wait()
	return f, t.err
}

// balanced waits until the queue is empty and checks that every accepted vote is stored once. A row for which this does
// not hold is refused.
func (t *target) balanced(ctx context.Context) {
	t.must(ledger.Drain(ctx, t))
	s, err := ledger.Steady(ctx, t)
	t.must(err)
	if stored := int(s.Rows.Total()); stored < t.accepted || stored > t.accepted+t.unsure || s.Tally != s.Rows {
		t.must(fmt.Errorf("%d votes were accepted and %d refused or cut off, %d are stored and %d counted",
			t.accepted, t.unsure, stored, s.Tally.Total()))
	}
}

// cpuTime is the CPU time that processes and their children have used; 0 where there is no /proc.
func cpuTime(pids ...int) (sum time.Duration) {
	all, _ := procfs.AllProcs()
	for _, p := range all {
		stat, err := p.Stat()
		if err != nil {
			continue // it has ended
		}
		if slices.Contains(pids, stat.PID) || slices.Contains(pids, stat.PPID) {
			sum += time.Duration(stat.CPUTime() * float64(time.Second))
		}
	}
	return sum
}

// memory is the sum of the services' memory now, and of their peaks, in MB.
func (t *target) memory(services ...*platform.Service) (now, peak float64) {
	for _, s := range services {
		p, err := procfs.NewProc(s.PID())
		if err != nil {
			t.must(fmt.Errorf("%w: this system has no /proc with a process's memory", errNotMeasured))
		}
		status, err := p.NewStatus()
		t.must(err)
		now, peak = now+float64(status.VmRSS)/1e6, peak+float64(status.VmHWM)/1e6
	}
	return now, peak
}
