// Command bench measures the speed and the size of the platform, on a private one, beside what each figure is compared
// with, and tells which limits are met:
//
//	go run ./scripts/bench -quick
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"

	"petvote/shared/lifecycle"
)

const usage = `Usage: go run ./scripts/bench [-quick] [-run REGEXP] [-out DIR]

Builds the services, runs them with a Redis and a PostgreSQL of their own, and prints a table of their
figures, beside what they are compared with and the limits. It takes some 10 minutes, with -quick 70 s.
Run it on a machine that does nothing else. Ctrl-C ends it and leaves nothing behind. Exit status 1: a
limit is missed, or a figure is refused because its run had errors.

The rows:
`

func main() {
	if lifecycle.PrintVersion(os.Stdout, "bench", os.Args[1:]) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) == 3 && os.Args[1] == bareCommand {
		os.Exit(serveBare(ctx, os.Args[2]))
	}
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns 0 if every limit is met, 1 if one is missed or a figure had to be refused, and 2 for bad arguments.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	o, err := parseFlags(args, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(progress, "bench:", err)
		return 2
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
	only  *regexp.Regexp
	quick bool
	pprof bool
}

func parseFlags(args []string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		for _, r := range rows {
			fmt.Fprintf(out, "  %-10s %s\n", r.name, r.about)
		}
		fmt.Fprintln(out)
		flags.PrintDefaults()
	}
	folder := filepath.Join(os.TempDir(), "petvote-bench")
	flags.StringVar(&o.out, "out", folder, "the folder for bench.json, bench.md and go.txt")
	only := flags.String("run", "", "measure only the rows whose names match")
	flags.BoolVar(&o.quick, "quick", false, "shorter runs and smaller data: for a first impression, not for the README")
	flags.BoolVar(&o.pprof, "pprof", false, "have the services serve profiles, which costs a little; print where")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; see -help", flags.Arg(0))
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	if !slices.ContainsFunc(rows, func(r row) bool { return o.only.MatchString(r.name) }) {
		return o, fmt.Errorf("-run %s: no such row; see -help", *only)
	}
	return o, nil
}
