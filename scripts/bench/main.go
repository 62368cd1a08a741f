// Command bench measures the speed and the size of a private platform, beside a reference for each figure, and reports
// which limits are met:
//
//	go run ./scripts/bench -quick
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/tool"
)

const usage = `Usage: go run ./scripts/bench [-quick] [-run REGEXP] [-out DIR]

Builds the services, runs them with a Redis and a PostgreSQL of their own, and prints a table of their
figures, beside their references and limits. It takes some 10 minutes, with -quick 80 s.
Run it on a machine that does nothing else. Ctrl-C ends it and leaves nothing behind. Exit status 1: a
limit is missed, or a figure is refused because its run had errors.

The rows:
`

func main() { os.Exit(tool.Main("bench", run)) }

// run returns 0 if every limit is met, 1 if one is missed or a figure had to be refused, and 2 for bad arguments.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	if len(args) == 2 && args[0] == bareCommand {
		return serveBare(args[1], progress)
	}
	var o options
	help := usage
	for _, r := range rows {
		help += fmt.Sprintf("  %-10s %s\n", r.name, r.about)
	}
	flags := tool.Flags("bench", help+"\n", progress)
	folder := filepath.Join(os.TempDir(), "petvote-bench")
	flags.StringVar(&o.out, "out", folder, "the folder for bench.json, bench.md and go.txt")
	flags.StringVar(&o.rows, "run", "", "measure only the rows whose names match")
	flags.BoolVar(&o.quick, "quick", false, "shorter runs and smaller data: for a first impression, not for the README")
	if status, ok := tool.Parse(flags, args, o.check); !ok {
		return status
	}
	r, err := measure(ctx, o, progress)
	if err == nil {
		err = r.write(o.out, out)
	}
	if err != nil {
		fmt.Fprintln(progress, "bench:", err)
		return 1
	}
	fmt.Fprintln(progress, "written to", o.out)
	if slices.ContainsFunc(r.Figures, func(f figure) bool { return f.Verdict == missed || f.Verdict == refused }) {
		return 1
	}
	return 0
}

type options struct {
	out   string // the folder of bench.json, bench.md and go.txt
	rows  string
	only  *regexp.Regexp // rows, compiled
	quick bool
}

func (o *options) check() (err error) {
	if o.only, err = regexp.Compile(o.rows); err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if !slices.ContainsFunc(rows, func(r row) bool { return o.only.MatchString(r.name) }) {
		return fmt.Errorf("-run %s: no such row; see -help", o.rows)
	}
	if err = os.MkdirAll(o.out, 0o755); err == nil { // before minutes of measuring
		err = unix.Access(o.out, unix.W_OK)
	}
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	return nil
}

// row is a measurement that yields some figures of the table.
type row struct {
	name, about string
	measure     func(ctx context.Context, b *bench) ([]figure, error)
}

// rows are measured in this order.
var rows = []row{
	{"accept", "votes accepted per second, beside a bare handler", untraced(measureAccept)},
	{"traced", "the same with every vote traced into Jaeger", measureTraced},
	{"overload", "twice as many votes as the service can take", untraced(measureOverload)},
	{"store", "votes stored per second from a backlog, beside COPY", untraced(measureStore)},
	{"latency", "from the click to the screen", untraced(measureLatency)},
	{"read", "reading the results with few and with many stored votes", untraced(measureRead)},
	{"viewers", "many open results pages", untraced(measureViewers)},
	{"memory", "idle, under load, with a backlog", untraced(measureMemory)},
	{"startstop", "start to ready, drain to exit", untraced(measureStartStop)},
	{"go", "Go's own benchmarks: the envelope, the accepted vote", measureGo},
}

// errNotMeasured is the error of a row for which this machine lacks something. The table says so; it is no failure.
var errNotMeasured = errors.New("not measured")

// bench is one run of the program.
type bench struct {
	options
	source   string // the root of the repository
	dir      string // temporary, with the services' programs
	progress io.Writer
	start    time.Time
	servers  string // of the last platform
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%4.0f s  %s\n", time.Since(b.start).Seconds(), fmt.Sprintf(format, args...))
}

// choose returns the first value, or the second in a quick run.
func choose[T any](b *bench, full, quick T) T {
	if b.quick {
		return quick
	}
	return full
}

// measure measures the chosen rows. A row with errors yields no figure, only its refusal.
func measure(ctx context.Context, o options, progress io.Writer) (r *report, err error) {
	b := &bench{options: o, progress: progress, start: time.Now()}
	if b.source, err = platform.Root(ctx); err != nil {
		return nil, err
	}
	if b.dir, err = servers.NewScratch("petvote-bench-run-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	b.say("building the services")
	if err := platform.Build(ctx, b.source, b.dir); err != nil {
		return nil, err
	}
	r = &report{Quick: o.quick, Began: b.start.UTC().Truncate(time.Second)}
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
			reason := strings.TrimPrefix(err.Error(), errNotMeasured.Error()+": ")
			figures = append(figures, figure{Name: row.about, Verdict: notMeasured, Note: reason})
		case err != nil:
			reason, _, _ := strings.Cut(err.Error(), "\n") // without the logs that may follow
			figures = []figure{{Name: row.about, Verdict: refused, Note: reason}}
			b.say("  %v", err)
		}
		for i := range figures {
			figures[i].Row = row.name
			b.say("  %s", figures[i])
		}
		r.Figures = append(r.Figures, figures...)
	}
	r.Machine = strings.Trim(describeMachine()+", "+b.servers, ", ")
	r.Took = time.Since(b.start).Round(time.Second).String()
	return r, nil
}
