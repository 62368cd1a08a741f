package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"petvote/infra/tool"
	"petvote/scripts/chaos/record"
	"petvote/scripts/chaos/scenario"
	"petvote/scripts/chaos/target"
	"petvote/scripts/chaos/target/compose"
	"petvote/shared/config"
)

type options struct {
	target    string // compose, local or auto
	project   string
	queues    int
	scenarios string
	random    time.Duration
	seed      uint64
	seeded    bool // by an argument
	rate      int
	retry     bool
	worker    string
	report    string
	jaeger    config.Link
	limits    record.Limits
	list      bool
}

const usage = `Usage: go run ./scripts/chaos [-target compose|local] [-scenario NAMES] [-report DIR] …

Loads the platform with votes, breaks parts of it, and reaches two verdicts.

  The proof     holds if every accepted vote is counted exactly once. Lost votes, votes counted twice,
                books that do not balance, dead letters, a wrong number on the page, a page that counts
                backwards, a service that restarts by itself and an answer that no voter should get
                refute it. The machine's load is no excuse.
  The recovery  is slow if votes are accepted again, the queue is drained, the page is current or an
                answer comes later than the limits below allow, or if votes are refused that no fault
                explains. On a busy machine that can happen, so the load average is shown beside it.

Exit status: 0 the proof held and every recovery was in time; 1 the proof was refuted, or the run did not
get to its end; 2 the arguments make no sense; 3 the proof held, but a recovery was slow.

  -target compose   breaks the containers that docker compose runs (./scripts/up starts them)
  -target local     starts a platform of its own as processes, with a proxy in every connection so that
                    the network can be broken too, and removes it at the end

Every fault is undone at the end, also after Ctrl-C. If a run is killed, the next one undoes its faults.
Send no other votes during the run.

  go run ./scripts/chaos -scenario kill-worker,kill-redis -report /tmp/chaos
  go run ./scripts/chaos -target local -random 2m -seed 7
  go run ./scripts/chaos -target local -queues 2 -scenario kill-one-redis,flip-flop
  go run ./scripts/chaos -target local -scenario kill-postgres -worker naive    # a worker that loses votes

`

const (
	targetAuto    = "auto"
	targetCompose = "compose"
	targetLocal   = "local"
	workerNaive   = "naive"
)

// parse reads the arguments, like tool.Parse.
func parse(args []string, out io.Writer) (o options, status int, ok bool) {
	flags := tool.Flags("chaos", usage, out)
	flags.StringVar(&o.target, "target", targetAuto,
		"`platform` to break: compose, local, or auto: containers if they run, else processes")
	flags.StringVar(&o.project, "project", "",
		"with -target compose: the Compose project (default: Compose's own choice: COMPOSE_PROJECT_NAME, .env, petvote)")
	flags.IntVar(&o.queues, "queues", 1,
		"with -target local: the `number` of queues, 1 or 2; with containers: how many there must be at least")
	flags.StringVar(&o.scenarios, "scenario", "all", "`names`, separated by commas; -list shows them")
	flags.DurationVar(&o.random, "random", 0, "draw random faults for this long instead of running scenarios")
	flags.Uint64Var(&o.seed, "seed", 0, "for -random: the same seed draws the same faults (default: a new one each time)")
	flags.IntVar(&o.rate, "rate", 300, "votes per second")
	flags.BoolVar(&o.retry, "retry", false, "send votes that were not accepted again under the same key, as the page does")
	flags.StringVar(&o.worker, "worker", "real",
		"with -target local: naive replaces the worker by one that removes a vote from the queue before it stores it")
	flags.StringVar(&o.report, "report", "", "write report.html, report.json and answers.jsonl to this `folder`")
	flags.Func("jaeger", "`URL` of Jaeger's pages, for links to traces (default: the Compose project's, or JAEGER_UI_URL)",
		func(text string) error { return o.jaeger.UnmarshalText([]byte(text)) })
	flags.DurationVar(&o.limits.Accept, "accept-within", 2*time.Second,
		"limit from the end of a fault until votes are accepted again")
	flags.DurationVar(&o.limits.Drain, "drain-within", 5*time.Second, "limit until the queue is drained")
	flags.DurationVar(&o.limits.Current, "current-within", 5*time.Second, "limit until the page is current")
	flags.DurationVar(&o.limits.Answer, "answer-within", 2500*time.Millisecond,
		"limit for every answer, unless the vote service itself is broken")
	flags.BoolVar(&o.list, "list", false, "list the scenarios and exit")
	status, ok = tool.Parse(flags, args, func() error {
		set := make(map[string]bool)
		flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
		if o.seeded = set["seed"]; o.random > 0 && !o.seeded {
			o.seed = uint64(rand.Uint32())
		}
		if set["project"] && o.target == targetAuto {
			o.target = targetCompose // a project that is not there must not become another platform
		}
		return o.check(set)
	})
	return o, status, ok
}

// check is given the names of the flags that were set.
func (o options) check(set map[string]bool) error {
	can := func(scenario.Fault) bool { return true }
	if o.target == targetCompose {
		can = new(compose.Target).Can
	}
	queues := o.queues
	if o.target != targetLocal {
		queues = 2 // containers may have them
	}
	_, _, impossible := scenario.Choose(o.scenarios, queues, can)
	for _, c := range []struct {
		wrong   bool
		problem string
	}{
		{!slices.Contains([]string{targetAuto, targetCompose, targetLocal}, o.target),
			"-target: want compose, local or auto"},
		{o.worker != "real" && o.worker != workerNaive, "-worker: want real or naive"},
		{o.worker == workerNaive && o.target != targetLocal, "-worker naive goes with -target local"},
		{o.queues < 1 || o.queues > 2, "-queues: want 1 or 2"},
		{o.worker == workerNaive && o.queues > 1, "-worker naive reads only one queue"},
		{set["project"] && o.project == "" || strings.ContainsAny(o.project, "/ \t"),
			"-project: want the name of a Compose project"},
		{o.rate < 1 || o.rate > 10_000, "-rate: want 1 to 10000"},
		{set["random"] && set["scenario"], "-random and -scenario exclude each other"},
		{set["seed"] && o.random == 0, "-seed goes with -random"},
		{set["random"] && (o.random < 10*time.Second || o.random > time.Hour), "-random: want 10s to 1h"},
		{set["project"] && o.target == targetLocal, "-project goes with -target compose"},
		{min(o.limits.Accept, o.limits.Drain, o.limits.Current, o.limits.Answer) <= 0, "limits must be more than 0"},
		{impossible != nil, fmt.Sprint(impossible)},
	} {
		if c.wrong {
			return errors.New(c.problem)
		}
	}
	return nil
}

// choose returns the scenarios to run and the names of those that the target can't do.
func (o options) choose(t target.Target) ([]scenario.Scenario, []string, error) {
	if o.random > 0 {
		return []scenario.Scenario{scenario.Random(o.seed, o.random, t.Queues(), t.Can)}, nil, nil
	}
	return scenario.Choose(o.scenarios, t.Queues(), t.Can)
}

// command repeats the run.
func (o options) command(args []string) string {
	command := "go run ./scripts/chaos " + strings.Join(args, " ")
	if o.random > 0 && !o.seeded {
		command += fmt.Sprintf(" -seed=%d", o.seed)
	}
	return command
}
