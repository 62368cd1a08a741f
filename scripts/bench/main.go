// Command bench measures the speed and the size of the platform, on a private one, beside what each figure is compared
// with, and tells which limits are met:
//
//	go run ./scripts/bench -quick
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"petvote/infra/tool"
)

const usage = `Usage: go run ./scripts/bench [-quick] [-run REGEXP] [-out DIR]

Builds the services, runs them with a Redis and a PostgreSQL of their own, and prints a table of their
figures, beside what they are compared with and the limits. It takes some 10 minutes, with -quick 70 s.
Run it on a machine that does nothing else. Ctrl-C ends it and leaves nothing behind. Exit status 1: a
limit is missed, or a figure is refused because its run had errors.

The rows:
`

func main() { os.Exit(tool.Main("bench", run)) }

// run returns 0 if every limit is met, 1 if one is missed or a figure had to be refused, and 2 for bad arguments.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	if len(args) == 2 && args[0] == bareCommand {
		return serveBare(ctx, args[1])
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
	flags.BoolVar(&o.pprof, "pprof", false, "have the services serve profiles, which costs a little; print where")
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
	pprof bool
}

func (o *options) check() (err error) {
	if o.only, err = regexp.Compile(o.rows); err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if !slices.ContainsFunc(rows, func(r row) bool { return o.only.MatchString(r.name) }) {
		return fmt.Errorf("-run %s: no such row; see -help", o.rows)
	}
	return nil
}
