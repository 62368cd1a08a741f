package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is what the figures were measured on.
type machine struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	MemoryMB int    `json:"memory_mb"`
	Kernel   string `json:"kernel"`
	Go       string `json:"go"`
	Redis    string `json:"redis"`
	Postgres string `json:"postgres"`
}

func describeMachine(ctx context.Context) machine {
	m := machine{CPU: procLine("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Kernel: kernel(), Go: runtime.Version(),
		Redis: firstLine(ctx, "redis-server", "--version"), Postgres: firstLine(ctx, postgresProgram(), "--version")}
	var kB int
	if _, err := fmt.Sscanf(procLine("/proc/meminfo", "MemTotal"), "%d kB", &kB); err == nil {
		m.MemoryMB = kB >> 10
	}
	return m
}

func (m machine) String() string {
	return fmt.Sprintf("%d cores of %s, %d MB; Linux %s, %s, %s, %s", m.Cores, m.CPU, m.MemoryMB, m.Kernel, m.Go, m.Redis, m.Postgres)
}

// procLine is the value of the first line that begins so; "" where there is no such file, as on a Mac.
func procLine(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// firstLine is what a program says of its version, shortened to what tells it from others.
func firstLine(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	line, _, _ = strings.Cut(line, " sha=")
	line = strings.NewReplacer(" server v=", " ", "postgres (PostgreSQL)", "PostgreSQL").Replace(line)
	line, _, _ = strings.Cut(line, " (")
	return line
}

func postgresProgram() string {
	if path, err := exec.LookPath("postgres"); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is well-formed
	if len(found) == 0 {
		return "postgres"
	}
	return found[len(found)-1]
}
