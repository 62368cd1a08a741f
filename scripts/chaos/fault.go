package main

import (
	"fmt"
	"strings"
)

// The parts of the platform, by the names that both targets give them.
const (
	vote     = "vote"
	worker   = "worker"
	result   = "result"
	redis    = "redis"
	postgres = "postgres"
)

var services = []string{vote, worker, result}

// kind is what is done to a part.
type kind string

const (
	kill     kind = "kill"     // SIGKILL; undone by a start
	stop     kind = "stop"     // asked to stop; undone by a start
	restart  kind = "restart"  // asked to stop, and started at once
	pause    kind = "pause"    // frozen: connections stay, nothing answers
	crash    kind = "crash"    // the worker is replaced by ones that die at a named point, one after the other
	lose     kind = "lose"     // a second worker dies with votes in hand, for good; over when another has taken them
	memory   kind = "memory"   // Redis may use no more memory than it has
	connects kind = "connects" // PostgreSQL takes no connections, and those that were there are cut
	cut      kind = "cut"      // the network swallows all, both ways; of an edge, or of every edge to a server
	slow     kind = "slow"     // latency on an edge
	jitter   kind = "jitter"   // latency that varies from nothing to twice the amount
	reset    kind = "reset"    // connections are reset
	linger   kind = "linger"   // connections close late
	trickle  kind = "trickle"  // little bandwidth
)

// fault is one thing that is done to one part, as data, so that another run can undo it.
type fault struct {
	Kind kind   `json:"kind"`
	Part string `json:"part"`          // a part, or an edge: vote-redis
	Arg  string `json:"arg,omitempty"` // crash: the point
	N    int    `json:"n,omitempty"`   // slow, jitter, linger: milliseconds; reset: after how many; trickle: KB/s
}

func (f fault) String() string {
	part := strings.Replace(f.Part, "-", " → ", 1)
	switch f.Kind {
	case crash:
		return "worker crashes " + strings.ReplaceAll(f.Arg, "-", " ")
	case lose:
		return "lose a second worker"
	case memory:
		return part + " out of memory"
	case connects:
		return part + " out of connections"
	case cut:
		return "cut " + part
	case slow:
		return fmt.Sprintf("%s + %d ms", part, f.N)
	case jitter:
		return fmt.Sprintf("%s ± %d ms", part, f.N)
	case reset:
		return "reset " + part
	case linger:
		return "slow close " + part
	case trickle:
		return fmt.Sprintf("%s at %d KB/s", part, f.N)
	}
	return string(f.Kind) + " " + part
}

// edge splits a part into the client and the server of an edge. For a part that is no edge the client is empty, which means
// every client.
func (f fault) edge() (client, server string) {
	client, server, isEdge := strings.Cut(f.Part, "-")
	if !isEdge {
		return "", f.Part
	}
	return client, server
}

// onProcess says whether the fault ends or freezes processes of the part.
func (f fault) onProcess() bool {
	switch f.Kind {
	case kill, stop, restart, pause, crash:
		return true
	}
	return false
}
