package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is what /proc counts CPU time in: 100 a second on every Linux of today.
const clockTick = 10 * time.Millisecond

// cpu is the time that a process and its children have taken, 0 where there is no /proc.
func (p *platform) cpu(pid int) (sum time.Duration) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name, in brackets, may hold anything. After it come the state, the parent, and as 12th to 15th the times.
		fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		if len(fields) < 15 || fields[1] != strconv.Itoa(pid) && filepath.Base(filepath.Dir(path)) != strconv.Itoa(pid) {
			continue
		}
		for i, field := range fields[11:15] {
			if i >= 2 && fields[1] == strconv.Itoa(pid) {
				break // a child's own children are none of ours
			}
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err == nil {
				sum += time.Duration(ticks) * clockTick
			}
		}
	}
	return sum
}

// memory is what a process has in use now, in MB; most is its peak.
func (s *service) memory() (now, most float64, err error) {
	path := fmt.Sprintf("/proc/%d/status", s.PID())
	for _, m := range []struct {
		name string
		into *float64
	}{{"VmRSS", &now}, {"VmHWM", &most}} {
		var kB float64
		if _, err := fmt.Sscanf(procLine(path, m.name), "%f kB", &kB); err != nil {
			return 0, 0, fmt.Errorf("%w: this system does not tell a process's memory in /proc", errNotMeasured)
		}
		*m.into = kB / 1000
	}
	return now, most, nil
}
