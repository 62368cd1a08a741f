package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"petvote/infra/platform"
)

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

var modelName = regexp.MustCompile(`(?m)^model name\s*: (.*)$`)

func describeMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	cpus, _ := os.ReadFile("/proc/cpuinfo")
	if model := modelName.FindSubmatch(cpus); model != nil {
		m.CPU = string(model[1])
	}
	if proc, err := procfs.NewDefaultFS(); err == nil {
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
