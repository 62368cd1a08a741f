// Command load casts votes at a constant rate, whatever becomes of them, and tells how many were accepted and how fast:
//
//	go run ./scripts/load -rate 200 -duration 1m
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"petvote/shared/lifecycle"
)

const usage = `Usage: go run ./scripts/load [-rate N] [-duration D] [-url URL]

Casts votes at a constant rate, whatever becomes of them, each with a key of its own, and prints how many
were accepted and how long the answers took. Ctrl-C ends it early. Exit status 1: a vote was not accepted.

`

func main() {
	if lifecycle.PrintVersion(os.Stdout, "load", os.Args[1:]) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns 0 if every vote was accepted, 1 if one was not, and 2 for bad arguments.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	o, err := parse(args, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(progress, "load:", err)
		return 2
	}
	s := attack(ctx, o, progress)
	fmt.Fprint(out, s)
	if s.counts["accepted"] < max(1, s.sent()) {
		return 1
	}
	return 0
}

type options struct {
	target            string // of POST /vote
	rate              int    // votes per second
	duration, timeout time.Duration
}

func parse(args []string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	base := flags.String("url", "http://localhost:8084", "the vote service")
	remote := flags.Bool("remote", false, "allow a target on another machine; be sure that it is yours")
	flags.IntVar(&o.rate, "rate", 100, "votes per second")
	flags.DurationVar(&o.duration, "duration", 30*time.Second, "for how long")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.target = strings.TrimRight(*base, "/") + "/vote"
	u, err := url.Parse(*base)
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; see -help", flags.Arg(0))
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return o, fmt.Errorf("-url %s: want http:// or https:// and a host", *base)
	case o.rate < 1 || o.rate > 100_000:
		return o, fmt.Errorf("-rate %d: want 1 to 100000", o.rate)
	case o.duration <= 0 || o.duration > 24*time.Hour:
		return o, fmt.Errorf("-duration %v: want more than 0 and at most 24h", o.duration)
	case o.timeout <= 0:
		return o, fmt.Errorf("-timeout %v: want more than 0", o.timeout)
	case !*remote && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		return o, fmt.Errorf("%s is not on this machine; -remote allows it", u.Hostname())
	}
	return o, nil
}
