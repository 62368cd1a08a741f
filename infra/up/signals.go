package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

var errAskedAgain = errors.New("told to stop a second time")

// signals gives two contexts: stop is done at the first Ctrl-C, SIGTERM or closed terminal, kill at the second. release ends
// the watch.
func signals() (stop, kill context.Context, release func()) {
	stop, cancelStop := context.WithCancel(context.Background())
	kill, cancelKill := context.WithCancelCause(context.Background())
	arrived := make(chan os.Signal, 2)
	signal.Notify(arrived, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range arrived {
			if stop.Err() != nil {
				cancelKill(errAskedAgain)
			}
			cancelStop()
		}
	}()
	return stop, kill, func() {
		signal.Stop(arrived)
		close(arrived)
		<-ended
		cancelStop()
		cancelKill(nil)
	}
}
