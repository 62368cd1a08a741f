package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"petvote/infra/platform"
	"petvote/shared/ballot"
)

// print prints the figures as a table in Markdown, aligned for a terminal.
func (b *bench) print(out io.Writer, figures []figure) error {
	kind := fullOrQuick(b, "A whole run", "A quick run")
	if b.rows != "" {
		kind = "The rows " + b.rows
	}
	table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintf(table, "%s, %v, on %s\n\n", kind, time.Since(b.start).Round(time.Second),
		strings.Trim(describeMachine()+", "+b.servers, ", "))
	line := func(cells ...string) { fmt.Fprintf(table, "| %s\t|\n", strings.Join(cells, "\t| ")) }
	line("figure", "measured", "compared with", "ratio", "must be", "")
	fmt.Fprintln(table, "|---\t|--:\t|--:\t|--:\t|--:\t|---\t|")
	for _, f := range figures {
		line(f.cells()...)
	}
	return table.Flush()
}

// describeMachine names the machine, as far as /proc describes it.
func describeMachine() string {
	var cpu string
	var megabytes uint64
	if proc, err := procfs.NewDefaultFS(); err == nil {
		if cpus, err := proc.CPUInfo(); err == nil && len(cpus) > 0 {
			cpu = cpus[0].ModelName
		}
		if memory, err := proc.Meminfo(); err == nil && memory.MemTotal != nil {
			megabytes = *memory.MemTotal >> 10
		}
	}
	var system unix.Utsname
	_ = unix.Uname(&system) // else the version stays empty
	return fmt.Sprintf("%d cores of %s, %d MB; Linux %s, %s",
		runtime.NumCPU(), cpu, megabytes, unix.ByteSliceToString(system.Release[:]), runtime.Version())
}

// describeServers names the servers that run.
func describeServers(ctx context.Context, p *platform.Platform) (string, error) {
	var postgres string
	err := p.DB.QueryRow(ctx, `select split_part(version(), ' ', 2)`).Scan(&postgres)
	info, errRedis := p.RDB.InfoMap(ctx, "server").Result()
	return "Redis " + info["Server"]["redis_version"] + ", PostgreSQL " + postgres, errors.Join(err, errRedis)
}

type verdict string

const (
	met         verdict = "met"
	missed      verdict = "missed"
	refused     verdict = "refused" // its run had errors
	notMeasured verdict = "not measured"
)

// figure is one line of the table.
type figure struct {
	name      string
	value     float64
	unit      string // "": there is no value
	versus    string // "": nothing is compared
	reference float64
	must      string
	verdict   verdict // "" where there is no limit
}

// against compares a figure.
func (f figure) against(what string, reference float64) figure {
	f.versus, f.reference = what, reference
	return f
}

func (f figure) ratio() float64 { return f.value / f.reference }

// atMost sets a limit of the value; ratioAtMost and ratioAtLeast set one of the ratio to what it is compared with.
func (f figure) atMost(bound float64) figure {
	return f.judge("≤ "+number(bound)+" "+f.unit, f.value, f.value <= bound)
}

func (f figure) ratioAtMost(bound float64) figure {
	return f.judge("≤ "+number(bound)+" ×", f.ratio(), f.ratio() <= bound)
}

func (f figure) ratioAtLeast(bound float64) figure {
	return f.judge("≥ "+number(bound)+" ×", f.ratio(), f.ratio() >= bound)
}

// judge sets the verdict. What this machine can't measure is NaN, which meets and misses no limit.
func (f figure) judge(must string, judged float64, ok bool) figure {
	f.must, f.verdict = must, missed
	switch {
	case math.IsNaN(judged):
		f.verdict = notMeasured
	case ok:
		f.verdict = met
	}
	return f
}

// cells are the columns of the table.
func (f figure) cells() []string {
	value, reference, ratio := "", "", ""
	if f.unit != "" {
		value = number(f.value) + " " + f.unit
	}
	if f.versus != "" {
		reference, ratio = f.versus+" "+number(f.reference), number(f.ratio())
	}
	return []string{f.name, value, reference, ratio, f.must, string(f.verdict)}
}

func (f figure) String() string {
	return strings.Join(slices.DeleteFunc(f.cells(), func(cell string) bool { return cell == "" }), " | ")
}

// number shows three or more digits, with commas from a thousand on.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "—"
	case a >= 1000:
		return ballot.Digits(int64(math.Round(v)))
	case a >= 100 || v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// median is the middle value, or the mean of the two in the middle; NaN of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
