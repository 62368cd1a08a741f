package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/tools/benchmark/parse"
)

// measureGo runs the benchmarks beside the code and keeps their output, for benchstat, in go.txt.
func measureGo(ctx context.Context, b *bench) ([]figure, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark(Encode|Decode|AcceptedVote)$",
		"-benchmem", "-benchtime", choose(b, "500ms", "200ms"), "-count", choose(b, "5", "1"),
		"./shared/votestream", "./services/vote")
	cmd.Dir, cmd.Stderr = b.source, b.progress
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go test: %w: %s", err, raw)
	}
	results, err := parse.ParseSet(bytes.NewReader(raw))
	file := filepath.Join(b.out, "go.txt")
	if err := errors.Join(err, os.MkdirAll(b.out, 0o755), os.WriteFile(file, raw, 0o644)); err != nil {
		return nil, err
	}
	times, allocations := map[string][]float64{}, map[string][]float64{}
	for name, runs := range results {
		name, _, _ = strings.Cut(name, "-") // the number of cores follows
		for _, run := range runs {
			times[name] = append(times[name], run.NsPerOp)
			allocations[name] = append(allocations[name], float64(run.AllocsPerOp))
		}
	}
	var figures []figure
	for _, c := range []struct{ benchmark, name string }{
		{"BenchmarkEncode", "encoding an envelope"}, {"BenchmarkDecode", "decoding an envelope"},
		{"BenchmarkAcceptedVote", "an accepted vote, from the request to the stream"},
	} {
		if times[c.benchmark] == nil {
			return nil, fmt.Errorf("go test printed no figure of %s", c.benchmark)
		}
		figures = append(figures, figure{Name: c.name, Unit: "ns", Value: median(times[c.benchmark])},
			figure{Name: c.name + ", allocations", Unit: "allocs", Value: median(allocations[c.benchmark])})
	}
	return figures, nil
}
