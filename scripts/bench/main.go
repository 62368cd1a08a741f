// Command bench measures how fast and how large the platform is, each figure beside what it is compared with, on a private
// platform of its own, and says which limits are met:
//
//	go run ./scripts/bench -quick
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
	if lifecycle.PrintVersion(os.Stdout, "bench", os.Args[1:]) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) == 3 && os.Args[1] == bareCommand {
		os.Exit(serveBare(ctx, os.Args[2]))
	}
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns 0 if every limit is met, 1 if one is missed or a figure had to be refused, and 2 for arguments that make no sense.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	o, err := parse(args, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(progress, err)
		return 2
	}
	r, err := measure(ctx, o, progress)
	if err == nil {
		err = r.write(o.out, out)
	}
	if err != nil {
		fmt.Fprintln(progress, "bench:", err)
		return 1
	}
	fmt.Fprintln(progress, "written to", o.out)
	if !r.met() {
		return 1
	}
	return 0
}
