// Package lifecycle is what every service does in the same way: start, serve, report its health, and stop in order.
//
// The order of a stop: turn unready → wait until callers have noticed → stop accepting → finish the work in hand
// → run the clean-ups in reverse order of the set-up. So clients close after their users, and telemetry, set up first,
// closes last.
package lifecycle

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Main runs a program until it returns. The first SIGINT or SIGTERM cancels its context; a second one ends the process
// at once. Main returns the exit status: 0, or 1 after printing the error on standard error.
func Main(name string, run func(ctx context.Context, args, environ []string) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Environ()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}
