// Package scenario describes faults and their schedules as data. It breaks nothing itself: a target does.
package scenario

import (
	"fmt"
	"strings"

	"petvote/infra/platform"
)

// Parts are all parts of the platform.
var Parts = append([]string{platform.Redis, platform.Postgres}, platform.Services...)

// Kind is what a fault does to a part.
type Kind string

const (
	Kill        Kind = "kill"     // SIGKILL; undone by a start
	Stop        Kind = "stop"     // asked to stop; undone by a start
	Restart     Kind = "restart"  // asked to stop, and started at once
	Pause       Kind = "pause"    // frozen: connections stay open, nothing answers
	Crash       Kind = "crash"    // workers that crash at a named point, one after the other, replace the worker
	Lose        Kind = "lose"     // a second worker dies for good with votes in hand; over when another has claimed them
	Memory      Kind = "memory"   // Redis may use no more memory than it uses already
	Connections Kind = "connects" // PostgreSQL takes no new connections, and the existing ones are cut
	Cut         Kind = "cut"      // the network drops everything, both ways, on one edge or on every edge to a server
	Slow        Kind = "slow"     // latency on an edge
	Jitter      Kind = "jitter"   // latency between nothing and twice the amount
	Reset       Kind = "reset"    // connections are reset
	SlowClose   Kind = "linger"   // connections close late
	Bandwidth   Kind = "trickle"  // little bandwidth
)

// Fault is one thing done to one part. It is data, so that a later run can undo it.
type Fault struct {
	Kind Kind   `json:"kind"`
	Part string `json:"part"`          // a part, or an edge: vote-redis
	Arg  string `json:"arg,omitempty"` // Crash: the point; Memory: the limit before, where the target needs it
	N    int    `json:"n,omitempty"`   // Slow, Jitter, SlowClose: milliseconds; Reset: after how many; Bandwidth: KB/s
}

func (f Fault) String() string {
	part := strings.Replace(f.Part, "-", " → ", 1)
	switch f.Kind {
	case Crash:
		return "worker crashes " + strings.ReplaceAll(f.Arg, "-", " ")
	case Lose:
		return "lose a second worker"
	case Memory:
		return part + " out of memory"
	case Connections:
		return part + " out of connections"
	case Slow:
		return fmt.Sprintf("%s + %d ms", part, f.N)
	case Jitter:
		return fmt.Sprintf("%s ± %d ms", part, f.N)
	case SlowClose:
		return "slow close " + part
	case Bandwidth:
		return fmt.Sprintf("%s at %d KB/s", part, f.N)
	}
	return string(f.Kind) + " " + part
}

// Edge splits a part into the client and the server of an edge. For a part that is no edge the client is empty, which
// stands for every client.
func (f Fault) Edge() (client, server string) {
	client, server, isEdge := strings.Cut(f.Part, "-")
	if !isEdge {
		return "", f.Part
	}
	return client, server
}

// OnNetwork reports whether the fault disturbs connections rather than a part.
func (f Fault) OnNetwork() bool {
	switch f.Kind {
	case Cut, Slow, Jitter, Reset, SlowClose, Bandwidth:
		return true
	}
	return false
}

// OnProcess reports whether the fault ends or freezes processes of its part.
func (f Fault) OnProcess() bool {
	switch f.Kind {
	case Kill, Stop, Restart, Pause, Crash:
		return true
	}
	return false
}
