// Command load casts votes at a constant rate, whatever becomes of them, and tells how many were accepted and how fast:
//
//	go run ./scripts/load -rate 200 -duration 1m
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"time"

	"petvote/infra/tool"
)

const usage = `Usage: go run ./scripts/load [-rate N] [-duration D] [-url URL]

Casts votes at a constant rate, whatever becomes of them, each with a key of its own, and prints how many
were accepted and how long the answers took. Ctrl-C ends it early. Exit status 1: a vote was not accepted.

`

func main() { os.Exit(tool.Main("load", run)) }

// run returns 0 if every vote was accepted, 1 if one was not, and 2 for bad arguments.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	var o options
	flags := tool.Flags("load", usage, progress)
	flags.StringVar(&o.base, "url", "http://localhost:8084", "the vote service")
	flags.BoolVar(&o.remote, "remote", false, "allow a target on another machine; be sure that it is yours")
	flags.IntVar(&o.rate, "rate", 100, "votes per second")
	flags.DurationVar(&o.duration, "duration", 30*time.Second, "for how long")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	if status, ok := tool.Parse(flags, args, o.check); !ok {
		return status
	}
	s := attack(ctx, o, progress)
	fmt.Fprint(out, s)
	if s.counts["accepted"] < max(1, s.sent()) {
		return 1
	}
	return 0
}

type options struct {
	base              string // of the vote service
	remote            bool   // it may be on another machine
	rate              int    // votes per second
	duration, timeout time.Duration
}

func (o *options) check() error {
	u, err := url.Parse(o.base)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("-url %s: want http:// or https:// and a host", o.base)
	case o.rate < 1 || o.rate > 100_000:
		return fmt.Errorf("-rate %d: want 1 to 100000", o.rate)
	case o.duration <= 0 || o.duration > 24*time.Hour:
		return fmt.Errorf("-duration %v: want more than 0 and at most 24h", o.duration)
	case o.timeout <= 0:
		return fmt.Errorf("-timeout %v: want more than 0", o.timeout)
	case !o.remote && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		return fmt.Errorf("%s is not on this machine; -remote allows it", u.Hostname())
	}
	return nil
}
