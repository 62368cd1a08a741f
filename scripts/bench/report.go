package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
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

// report is the result of a run.
type report struct {
	Began   time.Time `json:"began"`
	Took    string    `json:"took"`
	Quick   bool      `json:"quick"`
	Machine string    `json:"machine"` // and the servers
	Figures []figure  `json:"figures"`
}

// write writes bench.json and bench.md into a folder and prints the table.
func (r *report) write(dir string, out io.Writer) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	kind := "A whole run"
	if r.Quick {
		kind = "A quick run"
	}
	summary := fmt.Sprintf("%s, %s, on %s\n\n", kind, r.Took, r.Machine)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, summary, "figure\tmeasured\tcompared with\tratio\tmust be\t\n")
	var markdown strings.Builder
	fmt.Fprint(&markdown, summary, "| figure | measured | compared with | ratio | must be | |\n"+
		"|---|--:|--:|--:|--:|---|\n")
	for _, f := range r.Figures {
		fmt.Fprintln(table, strings.Join(f.cells(), "\t")+"\t")
		fmt.Fprintf(&markdown, "| %s |\n", strings.ReplaceAll(strings.Join(f.cells(), " | "), "\n", " "))
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "bench.json"), append(raw, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "bench.md"), []byte(markdown.String()), 0o644),
		table.Flush(),
	)
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
	Row       string  `json:"row"`
	Name      string  `json:"figure"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Versus    string  `json:"compared_with,omitempty"`
	Reference float64 `json:"reference,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"`
	Must      string  `json:"must,omitempty"`
	Verdict   verdict `json:"verdict,omitempty"` // "" where there is no limit
	Note      string  `json:"note,omitempty"`
}

func (f figure) against(what string, reference float64) figure {
	f.Versus, f.Reference, f.Ratio = what, reference, f.Value/reference
	return f
}

// atLeast judges the ratio, or the value where nothing is compared.
func (f figure) atLeast(bound float64) figure { return f.judge("≥ ", bound, f.judged() >= bound) }

func (f figure) atMost(bound float64) figure { return f.judge("≤ ", bound, f.judged() <= bound) }

func (f figure) judged() float64 {
	if f.Versus != "" {
		return f.Ratio
	}
	return f.Value
}

func (f figure) judge(sign string, bound float64, ok bool) figure {
	unit := f.Unit
	if f.Versus != "" {
		unit = "×"
	}
	f.Must, f.Verdict = strings.TrimSpace(sign+number(bound)+" "+unit), missed
	if ok {
		f.Verdict = met
	}
	return f
}

// cells are the columns of the table.
func (f figure) cells() []string {
	value, reference, ratio := "", "", ""
	if f.Unit != "" {
		value = number(f.Value) + " " + f.Unit
	}
	if f.Versus != "" {
		reference, ratio = f.Versus+" "+number(f.Reference), number(f.Ratio)
	}
	last := string(f.Verdict)
	if f.Note != "" {
		last = strings.TrimPrefix(last+"; "+f.Note, "; ")
	}
	return []string{f.Name, value, reference, ratio, f.Must, last}
}

func (f figure) String() string {
	return strings.Join(slices.DeleteFunc(f.cells(), func(cell string) bool { return cell == "" }), " | ")
}

// number shows three or more digits, with commas from a thousand on.
func number(v float64) string {
	switch a := math.Abs(v); {
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
