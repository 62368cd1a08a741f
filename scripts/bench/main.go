// Command bench measures the speed and the size of a private platform, beside what its parts cost alone, and reports
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
	"regexp"
	"slices"
	"strings"
	"time"

	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/tool"
	"petvote/infra/wait"
)

const usage = `Usage: go run ./scripts/bench [-quick] [-run REGEXP] [-queues N]

Builds the services (PETVOTE_BIN names a folder with built ones), runs them with a Redis and a PostgreSQL
of their own, and prints a table in Markdown: figures, what they are compared with, and limits. It takes
some eight minutes, with -quick one. Run it on a machine that does nothing else. Ctrl-C ends it and leaves
nothing behind. Exit status 1: a limit is missed, or a figure is refused because its run had errors.

The rows:
`

func main() { os.Exit(tool.Main("bench", run)) }

// run returns 0 if every limit is met, 1 if one is missed or a figure had to be refused, and 2 for bad arguments.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	if len(args) == 2 && args[0] == bareCommand {
		return serveBare(args[1], progress)
	}
	b := &bench{progress: progress, start: time.Now()}
	help := usage
	for _, r := range rows {
		help += fmt.Sprintf("  %-10s %s\n", r.name, r.about)
	}
	flags := tool.Flags("bench", help+"\n", progress)
	flags.StringVar(&b.rows, "run", "", "measure only the rows whose names match")
	flags.BoolVar(&b.quick, "quick", false, "shorter runs and smaller data: for a first impression, not for the README")
	flags.IntVar(&b.queues, "queues", 1, "the number of Redis")
	if status, ok := tool.Parse(flags, args, b.check); !ok {
		return status
	}
	figures, err := b.measure(ctx)
	if err == nil {
		err = b.print(out, figures)
	}
	if err != nil {
		fmt.Fprintln(progress, "bench:", err)
		return 1
	}
	if slices.ContainsFunc(figures, func(f figure) bool { return f.verdict == missed || f.verdict == refused }) {
		return 1
	}
	return 0
}

// row is a measurement that yields some figures of the table.
type row struct {
	name, about string
	measure     func(ctx context.Context, b *bench) ([]figure, error)
}

// rows are measured in this order.
var rows = []row{
	{"accept", "accepting votes, beside a bare handler and XADD", untraced(platform.Options{}, measureAccept)},
	{"traced", "the same with every vote traced into Jaeger", measureTraced},
	{"store", "storing a backlog, beside COPY", untraced(platform.Options{}, measureStore)},
	{"latency", "from the click to the screen", untraced(platform.Options{}, measureLatency)},
	{"viewers", "many open results pages", untraced(platform.Options{}, measureViewers)},
	{"read", "the results with few and with many stored votes", untraced(platform.Options{}, measureRead)},
	{"loss", "one of two Redis lost under load", untraced(platform.Options{Queues: 2, Proxies: true}, measureLoss)},
	{"go", "Go's own benchmark of an accepted vote", measureGo},
}

// errNotMeasured is the error of a row for which this machine lacks something. The table says so; it is no failure.
var errNotMeasured = errors.New("not measured")

// bench is one run of the program.
type bench struct {
	rows   string
	only   *regexp.Regexp // rows, compiled
	quick  bool
	queues int

	progress io.Writer
	start    time.Time
	source   string // the root of the repository
	dir      string // temporary
	bin      string // with the services' programs; "": not built yet
	servers  string // of the last platform
}

func (b *bench) check() (err error) {
	if b.only, err = regexp.Compile(b.rows); err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if !slices.ContainsFunc(rows, func(r row) bool { return b.only.MatchString(r.name) }) {
		return fmt.Errorf("-run %s: no such row; see -help", b.rows)
	}
	if b.queues < 1 || b.queues > 16 {
		return errors.New("-queues: from 1 to 16")
	}
	return nil
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "%4.0f s  %s\n", time.Since(b.start).Seconds(), fmt.Sprintf(format, args...))
}

// fullOrQuick returns the first value, or the second in a quick run.
func fullOrQuick[T any](b *bench, full, quick T) T {
	if b.quick {
		return quick
	}
	return full
}

// measure measures the chosen rows. A row with errors yields no figure, only its refusal.
func (b *bench) measure(ctx context.Context) (all []figure, err error) {
	if b.source, err = platform.Root(ctx); err != nil {
		return nil, err
	}
	if b.dir, err = servers.NewScratch("petvote-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := os.Setenv("GOTMPDIR", b.dir); err != nil { // for what an interrupted build leaves
		return nil, err
	}
	for _, row := range rows {
		if !b.only.MatchString(row.name) {
			continue
		}
		b.say("%s: %s", row.name, row.about)
		figures, err := row.measure(ctx, b)
		if err != nil {
			_ = wait.For(ctx, 100*time.Millisecond) // Ctrl-C may end a child before this program hears of it
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			reason, _, _ := strings.Cut(err.Error(), "\n") // without the logs that may follow
			figures = []figure{{name: row.about + ": " + reason, verdict: refused}}
			if errors.Is(err, errNotMeasured) {
				figures[0].verdict = notMeasured
			}
			b.say("  %v", err)
		}
		for _, f := range figures {
			b.say("  %s", f)
		}
		all = append(all, figures...)
	}
	return all, nil
}
