package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	"petvote/infra/platform"
	"petvote/infra/servers"
)

// port is a TCP port that the platform takes on this machine. It is a flag.Value.
type port struct {
	number   *int
	variable string // the environment variable that changes it; "": none
	purpose  string
	host     string // the address that it is bound to; "": all
}

// localPorts sets the ports of the local mode to their defaults and describes them. Redis and PostgreSQL are off their
// usual ports, so that they run beside others.
func localPorts(p *platform.Ports) []*port {
	*p = platform.Ports{
		Vote: 8084, Result: 8085, VoteOps: 9464, WorkerOps: 9465, ResultOps: 9466, Redis: 16379, Postgres: 15432,
	}
	return []*port{
		{number: &p.Vote, variable: "VOTE_PORT", purpose: "the vote page"},
		{number: &p.Result, variable: "RESULT_PORT", purpose: "the results page"},
		{number: &p.VoteOps, variable: "VOTE_OPS_PORT", purpose: "metrics and health of vote"},
		{number: &p.WorkerOps, variable: "WORKER_OPS_PORT", purpose: "metrics and health of worker"},
		{number: &p.ResultOps, variable: "RESULT_OPS_PORT", purpose: "metrics and health of result"},
		{number: &p.Redis, variable: "REDIS_PORT", purpose: "Redis"},
		{number: &p.Postgres, variable: "POSTGRES_PORT", purpose: "PostgreSQL"},
	}
}

// flag is the name of the command-line flag that changes the port: vote-port for VOTE_PORT.
func (p *port) flag() string { return strings.ReplaceAll(strings.ToLower(p.variable), "_", "-") }

// String is the number; the flag package also calls it on a zero port.
func (p *port) String() string {
	if p.number == nil {
		return ""
	}
	return strconv.Itoa(*p.number)
}

// Set reads the number.
func (p *port) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return errors.New("a port is a number from 1 to 65535")
	}
	*p.number = int(n)
	return nil
}

// checkPorts listens on each port for a moment. Its error names every one that is not free, and how to choose another.
func checkPorts(wanted []*port) error {
	var taken []error
	first := make(map[int]*port)
	for _, p := range wanted {
		if other := first[*p.number]; other != nil {
			taken = append(taken, fmt.Errorf("port %v is wanted twice, for %s and for %s: change %s or %s",
				p, other.purpose, p.purpose, other.variable, p.variable))
			continue
		}
		first[*p.number] = p
		remedy := "free it"
		if p.variable != "" {
			remedy += fmt.Sprintf(", or choose another: %s=N ./scripts/up", p.variable)
		}
		err := p.listen()
		if errors.Is(err, syscall.EADDRINUSE) {
			err = errors.New("another program listens there")
		}
		if err != nil {
			taken = append(taken, fmt.Errorf("port %v, for %s, can't be used (%w): %s", p, p.purpose, err, remedy))
		}
	}
	return errors.Join(taken...)
}

// listen tries the loopback address besides all addresses, since some systems let both be taken independently.
func (p *port) listen() error {
	hosts := []string{p.host}
	if p.host == "" {
		hosts = append(hosts, servers.Loopback)
	}
	for _, host := range hosts {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, p.String()))
		if err == nil {
			err = listener.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
