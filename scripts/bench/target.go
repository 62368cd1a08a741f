package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/procfs"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
)

// target is the platform that a row measures.
type target struct {
	*bench
	*platform.Platform
	accepted int   // votes that must be stored in the end
	err      error // ends the row
}

// must ends the row at an error, as testing.T.Fatal ends a test. Only the row's own goroutine may call it.
func (t *target) must(err error) {
	if err != nil {
		t.err = err
		runtime.Goexit()
	}
}

// measurement yields the figures of a row on a platform.
type measurement func(context.Context, *target) []figure

// untraced makes a row of a measurement whose traces, of one vote in a hundred, are received and dropped.
func untraced(o platform.Options, measure measurement) func(context.Context, *bench) ([]figure, error) {
	return func(ctx context.Context, b *bench) ([]figure, error) {
		sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/x-protobuf")
		}))
		defer sink.Close()
		return b.onPlatform(ctx, o, sink.URL, "0.01", measure)
	}
}

const maxMemory = "2gb" // of each Redis

// onPlatform starts a platform, with empty data, that sends a share of its traces to an endpoint. It closes it after
// the measurement, even after Ctrl-C.
func (b *bench) onPlatform(
	ctx context.Context, o platform.Options, endpoint, share string, measure measurement,
) (f []figure, err error) {
	if b.bin == "" {
		b.say("  building the services")
		if b.bin, err = platform.Programs(ctx, b.source, b.dir); err != nil {
			return nil, err
		}
	}
	if o.Dir, err = os.MkdirTemp(b.dir, "platform-"); err != nil {
		return nil, err
	}
	o.Bin, o.Queues = b.bin, max(b.queues, o.Queues)
	o.Env = []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint, "OTEL_TRACES_SAMPLER=parentbased_traceidratio",
		"OTEL_TRACES_SAMPLER_ARG=" + share,
	}
	o.Redis = func(c *servers.RedisConfig) { c.MaxMemory = maxMemory }
	o.Postgres = func(c *servers.PostgresConfig) { c.Settings = append(c.Settings, "max_wal_size=4GB") }
	p, err := platform.Start(ctx, o)
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

// balanced waits until the queues are empty and checks that every accepted vote is stored once. A row for which this
// does not hold is refused.
func (t *target) balanced(ctx context.Context) {
	t.must(ledger.Drain(ctx, t))
	s, err := ledger.Steady(ctx, t)
	t.must(err)
	if stored := int(s.Rows.Total()); stored != t.accepted || s.Tally != s.Rows {
		t.must(fmt.Errorf("%d votes were accepted, %d are stored and %d counted", t.accepted, stored, s.Tally.Total()))
	}
}

// withRedis adds every Redis to processes.
func (t *target) withRedis(processes ...process) []process {
	for _, server := range t.Redises {
		processes = append(processes, server)
	}
	return processes
}

// workload is one of several that are measured in turns.
type workload struct {
	processes   []process                              // their CPU time counts
	run         func() (votes int, took time.Duration) // a turn
	after       func()                                 // cleans up after a turn; nil: nothing
	rates, cpus []float64                              // votes a second, and µs of CPU a vote, of every turn
}

func (w *workload) rate() float64 { return median(w.rates) }

func (w *workload) cpu() float64 { return median(w.cpus) }

// interleave runs every workload in each round. The first of several rounds warms up.
func (t *target) interleave(rounds int, workloads ...*workload) {
	for round := range rounds {
		t.say("  round %d of %d", round+1, rounds)
		for _, w := range workloads {
			before := cpuTime(w.processes)
			votes, took := w.run()
			cpu := cpuTime(w.processes) - before
			if round > 0 || rounds == 1 {
				w.rates = append(w.rates, float64(votes)/took.Seconds())
				w.cpus = append(w.cpus, cpu*1e6/float64(votes))
			}
			if w.after != nil {
				w.after()
			}
		}
	}
}

// process is one whose CPU time counts. It may be restarted meanwhile.
type process interface{ PID() int }

// self is this program.
type self struct{}

func (self) PID() int { return os.Getpid() }

// cpuTime is the CPU time in seconds that processes have used, with their children, living and ended; NaN where there
// is no /proc. This program's children are the platform, and don't count as its own.
func cpuTime(processes []process) (sum float64) {
	all, err := procfs.AllProcs()
	if err != nil {
		return math.NaN()
	}
	for _, p := range all {
		stat, err := p.Stat()
		if err != nil {
			continue // it has ended
		}
		for _, counted := range processes {
			pid := counted.PID()
			_, own := counted.(self)
			if pid != stat.PID && (own || pid != stat.PPID) {
				continue
			}
			if !own {
				stat.UTime, stat.STime = stat.UTime+uint(stat.CUTime), stat.STime+uint(stat.CSTime)
			}
			sum += stat.CPUTime()
		}
	}
	return sum
}

// memory is a service's memory now, in KB.
func (t *target) memory(s *platform.Service) float64 {
	p, err := procfs.NewProc(s.PID())
	if err != nil {
		t.must(fmt.Errorf("%w: this system has no /proc with a process's memory", errNotMeasured))
	}
	status, err := p.NewStatus()
	t.must(err)
	return float64(status.VmRSS) / 1e3
}
