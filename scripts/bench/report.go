package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"petvote/infra/platform"
)

// report is the result of a run.
type report struct {
	Began   time.Time `json:"began"`
	Took    string    `json:"took"`
	Quick   bool      `json:"quick"`
	Machine machine   `json:"machine"`
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
		os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "bench.json"), append(raw, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "bench.md"), []byte(markdown.String()), 0o644),
		table.Flush(),
	)
}

// machine is what the figures were measured on. What this system does not tell is empty.
type machine struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	MemoryMB uint64 `json:"memory_mb"`
	Kernel   string `json:"kernel"`
	Go       string `json:"go"`
	Redis    string `json:"redis"`
	Postgres string `json:"postgres"`
}

func describeMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	if proc, err := procfs.NewDefaultFS(); err == nil {
		if cpus, err := proc.CPUInfo(); err == nil && len(cpus) > 0 {
			m.CPU = cpus[0].ModelName
		}
		if memory, err := proc.Meminfo(); err == nil && memory.MemTotal != nil {
			m.MemoryMB = *memory.MemTotal >> 10
		}
	}
	var system unix.Utsname
	if unix.Uname(&system) == nil {
		m.Kernel = unix.ByteSliceToString(system.Release[:])
	}
	return m
}

// askServers adds the versions of the servers that run.
func (m *machine) askServers(ctx context.Context, p *platform.Platform) error {
	if err := p.DB.QueryRow(ctx, `select 'PostgreSQL ' || split_part(version(), ' ', 2)`).Scan(&m.Postgres); err != nil {
		return err
	}
	info, err := p.RDB.InfoMap(ctx, "server").Result()
	m.Redis = "Redis " + info["Server"]["redis_version"]
	return err
}

func (m machine) String() string {
	return fmt.Sprintf("%d cores of %s, %d MB; Linux %s", m.Cores, m.CPU, m.MemoryMB,
		strings.Join([]string{m.Kernel, m.Go, m.Redis, m.Postgres}, ", "))
}
