package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
)

type options struct {
	target   string // of POST /vote
	rate     int    // votes per second
	duration time.Duration
	timeout  time.Duration
}

const usage = `Usage: go run ./scripts/load [-rate N] [-duration D] [-url URL]

Sends votes at a constant rate, whatever becomes of those before, each with a key of its own, and ends
with how many were accepted and how long the answers took. Ctrl-C ends it early. Exit status 1: not
every vote was accepted.

`

func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	base := flags.String("url", "http://localhost:8084", "the vote service")
	remote := flags.Bool("remote", false, "allow a target on another machine; make sure that it is yours")
	flags.IntVar(&o.rate, "rate", 100, "votes per second")
	flags.DurationVar(&o.duration, "duration", 30*time.Second, "for how long")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	u, err := url.Parse(*base)
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("load: unexpected argument %q; see -help", flags.Arg(0))
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return options{}, fmt.Errorf("load: -url %s: want http:// or https:// and a host", *base)
	case o.rate < 1 || o.rate > 100_000:
		return options{}, fmt.Errorf("load: -rate %d: want 1 to 100000", o.rate)
	case o.duration <= 0 || o.duration > 24*time.Hour:
		return options{}, fmt.Errorf("load: -duration %v: want more than 0 and at most 24h", o.duration)
	case o.timeout <= 0:
		return options{}, fmt.Errorf("load: -timeout %v: want more than 0", o.timeout)
	case !*remote && !loopback(u.Hostname()):
		return options{}, fmt.Errorf("load: %s is not on this machine; -remote allows it", u.Hostname())
	}
	o.target = strings.TrimRight(u.String(), "/") + "/vote"
	return o, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
