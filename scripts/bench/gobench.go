package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"

	"golang.org/x/tools/benchmark/parse"
)

// measureGo runs the benchmark beside the code.
func measureGo(ctx context.Context, b *bench) (figures []figure, err error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkAcceptedVote$", "-benchmem",
		"./services/vote")
	cmd.Dir, cmd.Stderr = b.source, b.progress
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go test: %w: %s", err, raw)
	}
	results, err := parse.ParseSet(bytes.NewReader(raw))
	for _, runs := range results {
		for _, run := range runs {
			f := figure{name: "allocations of an accepted vote, in the service", unit: "allocs",
				value: float64(run.AllocsPerOp)}
			figures = append(figures, f.atMost(40))
		}
	}
	if err == nil && len(figures) == 0 {
		err = errors.New("go test printed no figure")
	}
	return figures, err
}
