// Package lifecycle is what every service does the same way: start, serve, tell its health, and stop in good order.
//
// Stopping goes: not ready → wait until callers have noticed → stop taking → finish what is in hand → clean-ups in the
// reverse order of the set-up, so that clients close after their users and telemetry, which was first, goes last.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Main runs a program until it returns or the first SIGINT or SIGTERM cancels its context; a second signal ends the
// process at once. It returns the exit status: 0, or 1 after telling the error on standard error.
func Main(name string, run func(ctx context.Context, args, environ []string) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // ends with the process or with stop
		<-ctx.Done()
		stop()
	}()
	if err := run(ctx, os.Args[1:], os.Environ()); err != nil && (ctx.Err() == nil || !stopped(err)) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// stopped says that an error is nothing but the end of the context; what else is joined to it must be told.
func stopped(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if err == context.Canceled { //nolint:errorlint // errors.Is would look into joined errors as well
			return true
		}
	}
	return false
}
