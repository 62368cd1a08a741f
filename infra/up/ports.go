package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"petvote/infra/platform"
)

// Port is a TCP port that the platform takes.
type Port struct {
	Number   int
	Variable string // the environment variable that changes it
	Purpose  string // what it is for
}

// Flag is the name of the command-line flag that changes the port: vote-port for VOTE_PORT.
func (p *Port) Flag() string { return strings.ReplaceAll(strings.ToLower(p.Variable), "_", "-") }

// Ports are all the ports of the local mode.
type Ports struct {
	Vote, Result                  Port // the pages
	VoteOps, WorkerOps, ResultOps Port // metrics and health
	Redis, Postgres               Port // the servers; loopback only
}

// DefaultPorts are those of the design; Redis and PostgreSQL are off their usual ports, so that they stand beside others.
func DefaultPorts() *Ports {
	return &Ports{
		Vote:      Port{8084, "VOTE_PORT", "the vote page"},
		Result:    Port{8085, "RESULT_PORT", "the results page"},
		VoteOps:   Port{9464, "VOTE_OPS_PORT", "metrics and health of vote"},
		WorkerOps: Port{9465, "WORKER_OPS_PORT", "metrics and health of worker"},
		ResultOps: Port{9466, "RESULT_OPS_PORT", "metrics and health of result"},
		Redis:     Port{16379, "REDIS_PORT", "Redis"},
		Postgres:  Port{15432, "POSTGRES_PORT", "PostgreSQL"},
	}
}

// All gives every port, to be read and changed.
func (p *Ports) All() []*Port {
	return []*Port{&p.Vote, &p.Result, &p.VoteOps, &p.WorkerOps, &p.ResultOps, &p.Redis, &p.Postgres}
}

func (p *Ports) numbers() platform.Ports {
	return platform.Ports{
		Vote: p.Vote.Number, Result: p.Result.Number, Redis: p.Redis.Number, Postgres: p.Postgres.Number,
		VoteOps: p.VoteOps.Number, WorkerOps: p.WorkerOps.Number, ResultOps: p.ResultOps.Number,
	}
}

// FromEnvironment takes the ports that the environment sets. Its error names every bad variable.
func (p *Ports) FromEnvironment(getenv func(string) string) error {
	var bad []error
	for _, port := range p.All() {
		text := getenv(port.Variable)
		if text == "" {
			continue
		}
		number, err := strconv.ParseUint(text, 10, 16)
		if err != nil || number == 0 {
			bad = append(bad, fmt.Errorf("%s=%q is no port: it must be a number from 1 to 65535", port.Variable, text))
			continue
		}
		port.Number = int(number)
	}
	return errors.Join(bad...)
}

// Check tells whether every port is free, by listening on each for a moment. Its error names every one that is not, what wants
// it and how to change it.
func (p *Ports) Check() error {
	var taken []error
	wanted := make(map[int]*Port)
	for _, port := range p.All() {
		if other := wanted[port.Number]; other != nil {
			taken = append(taken, fmt.Errorf("port %d is wanted twice, for %s and for %s: change %s or %s",
				port.Number, other.Purpose, port.Purpose, other.Variable, port.Variable))
			continue
		}
		wanted[port.Number] = port
		if err := listenable(port.Number); err != nil {
			taken = append(taken, fmt.Errorf("port %d, for %s, can't be used (%w): free it, or choose another with %s=… or --%s …",
				port.Number, port.Purpose, err, port.Variable, port.Flag()))
		}
	}
	return errors.Join(taken...)
}

// listenable tries all interfaces and the loopback interface, since some systems let both be taken independently.
func listenable(port int) error {
	for _, host := range []string{"", "127.0.0.1"} {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			var cause *net.OpError
			if errors.As(err, &cause) {
				return cause.Err
			}
			return err
		}
		if err := listener.Close(); err != nil {
			return err
		}
	}
	return nil
}
