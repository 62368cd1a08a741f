// Package scenario describes faults and their schedules as data. It breaks nothing itself: a target does.
package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"petvote/infra/platform"
)

// Redis2 is the part that holds the second queue.
var Redis2 = platform.Queue(1)

// Parts are all parts of a platform with one queue.
var Parts = append([]string{platform.Redis, platform.Postgres}, platform.Services...)

// Kind is the kind of a fault.
type Kind string

// The kinds.
const (
	Kill        Kind = "kill"     // SIGKILL; undone by a start
	Stop        Kind = "stop"     // asked to stop; undone by a start
	Restart     Kind = "restart"  // asked to stop, and started at once
	Pause       Kind = "pause"    // frozen: connections stay open, nothing answers
	Crash       Kind = "crash"    // workers that crash at a named point, one after the other, replace the worker
	Lose        Kind = "lose"     // a second worker dies for good with votes in hand; over when another has claimed them
	Memory      Kind = "memory"   // a Redis may use no more memory than it uses already
	Connections Kind = "connects" // PostgreSQL takes no new connections, and the existing ones are cut
	Crawl       Kind = "crawl"    // PostgreSQL needs much time for each vote that it stores
	Failover    Kind = "failover" // another server takes the part over behind the same address; over when it leads there
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
	N    int    `json:"n,omitempty"`   // Crawl, Slow, Jitter, SlowClose, Reset: milliseconds; Bandwidth: KB/s
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
	case Crawl:
		return fmt.Sprintf("%s needs %d ms a vote", part, f.N)
	case Failover:
		return "fail over " + part
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
	return slices.Contains([]Kind{Cut, Slow, Jitter, Reset, SlowClose, Bandwidth}, f.Kind)
}

// OnProcess reports whether the fault ends or freezes processes of its part.
func (f Fault) OnProcess() bool {
	return slices.Contains([]Kind{Kill, Stop, Restart, Pause, Crash}, f.Kind)
}

// Scenario is a schedule of faults and the behaviour expected of the platform.
type Scenario struct {
	Name        string
	Hypothesis  string
	Steps       []Step
	DrainWithin time.Duration // limit for the queue to drain and the page to be current; 0: the run's own limits
	Unnoticed   bool          // voters notice nothing, but for one in a hundred on a busy machine
	NoneRefused bool          // not one vote is refused
	InTurn      bool          // a step begins its time after every service has recovered from the one before
	Overlapping bool          // faults overlap, so only the recovery after the last one is held to the limits
}

// Step is a fault, when it begins (counted from the first), and how long it lasts.
type Step struct {
	At    time.Duration
	Fault Fault
	Lasts time.Duration
}

// TakeoverLimit bounds work that only another worker can finish: an entry is idle for CLAIM_IDLE (10 s as shipped)
// before it is claimed, and workers look for such entries every half of that.
const TakeoverLimit = 20 * time.Second

// All returns the scenarios of "-scenario all" for a number of queues, in this order. Those that say Redis break the
// first; if there is a second, it takes the votes meanwhile.
func All(queues int) []Scenario {
	const down = 4 * time.Second
	const noticed, unnoticed = false, true
	one := func(name, hypothesis string, unnoticed bool, lasts time.Duration, f Fault) Scenario {
		return Scenario{Name: name, Hypothesis: hypothesis, Steps: []Step{{0, f, lasts}}, Unnoticed: unnoticed}
	}
	oneRedis := func(how, what string, f Kind) Scenario {
		return Scenario{Name: how + "-one-redis", NoneRefused: true, Steps: []Step{{0, Fault{Kind: f, Part: Redis2}, down}},
			Hypothesis: "One of two Redis " + what + ": no vote is refused, and what it holds is counted once it is back."}
	}
	all := []Scenario{
		one("kill-worker", "Voters notice nothing. Queued votes are stored once the worker is back.",
			unnoticed, down, Fault{Kind: Kill, Part: platform.Worker}),
		one("kill-vote", "Nobody can vote while it is down. No accepted vote is lost.",
			noticed, down, Fault{Kind: Kill, Part: platform.Vote}),
		one("kill-result", "Voters notice nothing. The page is current once the service is back, and never counts backwards.",
			unnoticed, down, Fault{Kind: Kill, Part: platform.Result}),
		one("kill-redis", "Votes are refused at once, and accepted again within 2 s of Redis answering.",
			noticed, down, Fault{Kind: Kill, Part: platform.Redis}),
		one("kill-postgres", "Voters notice nothing. The page keeps its last numbers and is current within 5 s.",
			unnoticed, down, Fault{Kind: Kill, Part: platform.Postgres}),
		one("stop-postgres", "Ten seconds without PostgreSQL make the queue longer, and lose no vote.",
			unnoticed, 10*time.Second, Fault{Kind: Stop, Part: platform.Postgres}),
		crashes("after-read"), crashes("after-commit"), crashes("before-ack"),
		one("pause-worker", "A frozen worker is no worse than a dead one.",
			unnoticed, down, Fault{Kind: Pause, Part: platform.Worker}),
		one("pause-redis", "Redis hangs: a vote waits 2 s at most, and soon votes are refused at once.",
			noticed, down, Fault{Kind: Pause, Part: platform.Redis}),
		one("pause-postgres", "PostgreSQL hangs: statements time out and are retried. Voters notice nothing.",
			unnoticed, down, Fault{Kind: Pause, Part: platform.Postgres}),
		one("cut-worker-postgres", "Packets to PostgreSQL vanish: the queue grows, and drains afterwards.",
			unnoticed, down, Fault{Kind: Cut, Part: platform.Worker + "-" + platform.Postgres}),
		one("cut-vote-redis", "Packets to Redis vanish: votes are refused within 2 s.",
			noticed, down, Fault{Kind: Cut, Part: platform.Vote + "-" + platform.Redis}),
		one("slow-redis", "Redis answers after 2 s, a vote's whole budget: votes are refused, and none hangs.",
			noticed, down, Fault{Kind: Slow, Part: platform.Redis, N: 2000}),
		one("slow-postgres", "PostgreSQL answers 2 s late: the numbers are late, and voters notice nothing.",
			unnoticed, 8*time.Second, Fault{Kind: Slow, Part: platform.Postgres, N: 2000}),
		one("crawl-postgres", "PostgreSQL stores fewer votes than come in: the queue grows, and drains afterwards.",
			unnoticed, 10*time.Second, Fault{Kind: Crawl, Part: platform.Postgres, N: 50}),
		shaky(platform.Redis, noticed), shaky(platform.Postgres, unnoticed),
		one("full-redis", "Redis is out of memory: it refuses new votes, keeps the old ones, and is drained.",
			noticed, down, Fault{Kind: Memory, Part: platform.Redis}),
		one("full-postgres", "PostgreSQL has no free connection: votes wait in the queue until it has.",
			unnoticed, down, Fault{Kind: Connections, Part: platform.Postgres}),
		one("lose-worker", "A second worker dies for good with votes in hand: another worker stores them.",
			unnoticed, 0, Fault{Kind: Lose, Part: platform.Worker}),
		one("failover-postgres", "The primary dies, and its synchronous standby takes over behind the same address: no "+
			"stored vote is missing, and the queue is drained within 5 s.",
			unnoticed, down, Fault{Kind: Failover, Part: platform.Postgres}),
		one("failover-redis", "A replica takes over once it has every vote, and connections stay with the old server: votes "+
			"are accepted again within 2 s of the address leading to the new one.",
			noticed, down, Fault{Kind: Failover, Part: platform.Redis}),
		{Name: "rolling-restart", Steps: []Step{
			{0, Fault{Kind: Restart, Part: platform.Worker}, 0},
			{3 * time.Second, Fault{Kind: Restart, Part: platform.Result}, 0},
			{6 * time.Second, Fault{Kind: Restart, Part: platform.Vote}, 0},
		}, Hypothesis: "Each service restarts in turn. Votes are refused only while no vote service listens."},
		{Name: "all-at-once", Overlapping: true, Steps: []Step{
			{0, Fault{Kind: Kill, Part: platform.Worker}, down}, {0, Fault{Kind: Kill, Part: platform.Redis}, down},
			{0, Fault{Kind: Kill, Part: platform.Postgres}, down}, {0, Fault{Kind: Kill, Part: platform.Result}, down},
			{0, Fault{Kind: Kill, Part: platform.Vote}, down},
		}, Hypothesis: "All parts are killed at the same moment. Every vote accepted before is still there."},
		oneRedis("kill", "dies", Kill), oneRedis("hang", "hangs", Pause), oneRedis("fill", "is out of memory", Memory),
		oneRedis("cut", "is cut off", Cut),
		{Name: "flip-flop", NoneRefused: true, InTurn: true, Steps: []Step{
			{0, Fault{Kind: Kill, Part: Redis2}, down}, {down, Fault{Kind: Pause, Part: platform.Redis}, down},
			{down, Fault{Kind: Kill, Part: platform.Redis}, down}, {down, Fault{Kind: Pause, Part: Redis2}, down},
		}, Hypothesis: "Two Redis die and hang in turns, never both at once: no vote is refused."},
	}
	for i := range all {
		s := &all[i]
		f := s.Steps[0].Fault
		switch _, server := f.Edge(); {
		case queues < 2:
		case s.Name == "all-at-once":
			s.Steps = append(s.Steps, Step{0, Fault{Kind: Kill, Part: Redis2}, down})
		case server == platform.Redis:
			s.Unnoticed, s.Hypothesis = true, "The other queue takes the votes: voters notice nothing."
		}
	}
	return all
}

// needsTwoQueues reports whether the scenario breaks a second queue.
func (s Scenario) needsTwoQueues() bool {
	return slices.ContainsFunc(s.Steps, func(st Step) bool {
		_, server := st.Fault.Edge()
		return server == Redis2
	})
}

func crashes(point string) Scenario {
	return Scenario{Name: "crash-" + point, DrainWithin: TakeoverLimit, Unnoticed: true,
		Steps: []Step{{0, Fault{Kind: Crash, Part: platform.Worker, Arg: point}, 0}},
		Hypothesis: "Workers that crash " + strings.ReplaceAll(point, "-", " ") +
			", one after the other, lose no vote and store none twice."}
}

// shaky disturbs the network to a server in four ways, one after the other.
func shaky(server string, unnoticed bool) Scenario {
	s := Scenario{Name: "shaky-" + server, Unnoticed: unnoticed, Overlapping: true,
		Hypothesis: "Jitter, resets, slow closes and low bandwidth cost time. No accepted vote is lost."}
	for i, f := range []Fault{
		{Kind: Jitter, N: 200}, {Kind: Reset, N: 100}, {Kind: SlowClose, N: 500}, {Kind: Bandwidth, N: 32},
	} {
		f.Part = server
		s.Steps = append(s.Steps, Step{time.Duration(i) * 3 * time.Second, f, 2 * time.Second})
	}
	return s
}

// Choose returns the scenarios of a comma-separated list of names. "all" stands for every scenario that the target can
// do with its number of queues; skipped names the others.
func Choose(list string, queues int, can func(Fault) bool) (chosen []Scenario, skipped []string, err error) {
	for name := range strings.SplitSeq(list, ",") {
		known := false
		for _, s := range All(queues) {
			if name != s.Name && name != "all" {
				continue
			}
			known = true
			fewQueues := queues < 2 && s.needsTwoQueues()
			impossible := fewQueues || slices.ContainsFunc(s.Steps, func(st Step) bool { return !can(st.Fault) })
			switch {
			case !impossible:
				chosen = append(chosen, s)
			case name == "all":
				skipped = append(skipped, s.Name)
			case fewQueues:
				return nil, nil, fmt.Errorf("scenario %s needs two queues: -queues 2 (with containers: start them with "+
					"TWO_QUEUES=1)", name)
			default:
				return nil, nil, fmt.Errorf("scenario %s needs proxies and servers of its own: run it with -target local", name)
			}
		}
		if !known {
			return nil, nil, fmt.Errorf("no scenario %q; -list shows them", name)
		}
	}
	return chosen, skipped, nil
}

// Touches reports whether the scenario ends or freezes processes of the part.
func (s Scenario) Touches(part string) bool {
	return slices.ContainsFunc(s.Steps, func(st Step) bool { return st.Fault.OnProcess() && st.Fault.Part == part })
}
