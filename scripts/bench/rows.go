package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"petvote/infra/servers"
)

// row is one line of work, which gives some figures of the table.
type row struct {
	name, about string
	measure     func(ctx context.Context, b *bench) ([]figure, error)
}

// rows are measured in this order.
var rows []row

func init() {
	rows = []row{
		{"accept", "votes accepted per second, beside a bare handler", measureAccept},
		{"traced", "the same with every vote traced into a Jaeger", measureTraced},
		{"overload", "twice as many votes as it can take", measureOverload},
		{"store", "votes stored per second from a backlog, beside COPY", measureStore},
		{"latency", "from the click to the screen", measureLatency},
		{"read", "reading the results with few and with many stored votes", measureRead},
		{"viewers", "many open results pages", measureViewers},
		{"memory", "idle, under load, with a backlog", measureMemory},
		{"startstop", "start to ready, drain to exit", measureStartStop},
		{"go", "Go's own benchmarks: the envelope, the accepted vote", measureGo},
	}
}

// errNotMeasured is for what this machine lacks. It is told in the table and is no failure.
var errNotMeasured = errors.New("not measured")

// bench is one run of the program.
type bench struct {
	options
	source   string // the root of the repository
	dir      string // temporary, with the programs in bin
	progress io.Writer
	start    time.Time
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%4.0f s  %s\n", time.Since(b.start).Seconds(), fmt.Sprintf(format, args...))
}

// choose gives the first value, or the second for a quick run.
func choose[T any](b *bench, full, quick T) T {
	if b.quick {
		return quick
	}
	return full
}

// measure measures the chosen rows. A row that had errors gives no figure, only its refusal.
func measure(ctx context.Context, o options, progress io.Writer) (r *report, err error) {
	b := &bench{options: o, progress: progress, start: time.Now()}
	if b.source, err = moduleRoot(ctx); err != nil {
		return nil, err
	}
	scratch, err := servers.NewScratch("petvote-bench-run-")
	if err != nil {
		return nil, err
	}
	b.dir = scratch.Path
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	b.say("building the services")
	if err := b.build(ctx); err != nil {
		return nil, err
	}
	r = &report{Quick: o.quick, Machine: describeMachine(ctx), Began: b.start.UTC().Truncate(time.Second)}
	for _, row := range rows {
		if !o.only.MatchString(row.name) {
			continue
		}
		b.say("%s: %s", row.name, row.about)
		figures, err := row.measure(ctx, b)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		switch {
		case errors.Is(err, errNotMeasured):
			figures = append(figures, figure{Name: row.about, Verdict: notMeasured, Note: err.Error()})
		case err != nil:
			figures = []figure{{Name: row.about, Verdict: refused, Note: firstOf(err)}}
			b.say("  %v", err)
		}
		for i := range figures {
			figures[i].Row = row.name
			b.say("  %s", figures[i])
		}
		r.Figures = append(r.Figures, figures...)
	}
	r.Took = time.Since(b.start).Round(time.Second).String()
	return r, nil
}

// firstOf is an error without the logs in it, which are told while it goes on.
func firstOf(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func (b *bench) bin(name string) string { return filepath.Join(b.dir, "bin", name) }
