package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// goLine is a line like "BenchmarkEncode-2  1000000  512.0 ns/op  184 B/op  6 allocs/op".
var goLine = regexp.MustCompile(`(?m)^Benchmark(\w+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op.*?\s(\d+) allocs/op`)

// measureGo runs the benchmarks beside the code, and keeps what they print, for benchstat, in go.txt.
func measureGo(ctx context.Context, b *bench) ([]figure, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark(Encode|Decode|AcceptedVote)$", "-benchmem",
		"-benchtime", choose(b, "500ms", "200ms"), "-count", choose(b, "5", "1"), "./shared/votestream", "./services/vote")
	cmd.Dir, cmd.Stderr = b.source, b.progress
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go test: %w: %s", err, raw)
	}
	if err := errors.Join(os.MkdirAll(b.out, 0o755), os.WriteFile(filepath.Join(b.out, "go.txt"), raw, 0o644)); err != nil {
		return nil, err
	}
	times, allocations := map[string][]float64{}, map[string][]float64{}
	for _, m := range goLine.FindAllStringSubmatch(string(raw), -1) {
		t, errTime := strconv.ParseFloat(m[2], 64)
		n, errCount := strconv.ParseFloat(m[3], 64)
		if err := errors.Join(errTime, errCount); err != nil {
			return nil, err
		}
		times[m[1]], allocations[m[1]] = append(times[m[1]], t), append(allocations[m[1]], n)
	}
	var figures []figure
	for _, c := range []struct{ benchmark, name string }{
		{"Encode", "encoding an envelope"}, {"Decode", "decoding an envelope"}, {"AcceptedVote", "an accepted vote, from the request to the stream"},
	} {
		if times[c.benchmark] == nil {
			return nil, fmt.Errorf("go test printed no figure of Benchmark%s", c.benchmark)
		}
		figures = append(figures, figure{Name: c.name, Unit: "ns", Value: median(times[c.benchmark])},
			figure{Name: c.name + ", allocations", Unit: "allocs", Value: median(allocations[c.benchmark])})
	}
	return figures, nil
}
