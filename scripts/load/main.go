// Command load sends votes at a constant rate, whatever becomes of them, and says what became of them:
//
//	go run ./scripts/load -rate 200 -duration 1m
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"petvote/shared/lifecycle"
)

func main() {
	if lifecycle.PrintVersion(os.Stdout, "load", os.Args[1:]) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns 0 if every vote was accepted, 1 if one was not, and 2 for arguments that make no sense.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	o, err := parse(args, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(progress, err)
		return 2
	}
	s := attack(ctx, o, progress)
	fmt.Fprint(out, s)
	if s.accepted() < s.metrics.Requests || s.metrics.Requests == 0 {
		return 1
	}
	return 0
}
