package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

type options struct {
	out   string // the folder of bench.json and bench.md
	only  *regexp.Regexp
	quick bool
	pprof bool
}

const usage = `Usage: go run ./scripts/bench [-quick] [-run REGEXP] [-out DIR]

Builds the services, runs them with a Redis and a PostgreSQL of their own, and prints a table of what
they reach, beside what it is compared with and the limit. It takes some 10 minutes, with -quick 70 s. Run
it on a machine that does nothing else. Ctrl-C ends it and leaves nothing behind. Exit status 1: a limit
is missed, or a figure is refused because its run had errors.

The rows:
`

func parse(args []string, out io.Writer) (options, error) {
	var o options
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
	flags.StringVar(&o.out, "out", filepath.Join(os.TempDir(), "petvote-bench"), "the folder for bench.json, bench.md and go.txt")
	only := flags.String("run", "", "measure only the rows whose names match")
	flags.BoolVar(&o.quick, "quick", false, "shorter runs and smaller data: for a first impression, not for the README")
	flags.BoolVar(&o.pprof, "pprof", false, "have the services serve profiles, which costs a little, and say where")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("bench: unexpected argument %q; see -help", flags.Arg(0))
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return options{}, fmt.Errorf("bench: -run: %w", err)
	}
	for _, r := range rows {
		if o.only.MatchString(r.name) {
			return o, nil
		}
	}
	return options{}, fmt.Errorf("bench: -run %s: no such row; see -help", *only)
}
