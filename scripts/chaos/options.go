package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"time"
)

type options struct {
	target    string // compose, local or auto
	project   string
	scenarios string
	random    time.Duration
	seed      uint64
	seeded    bool // by an argument
	rate      int
	retry     bool
	worker    string
	report    string
	jaeger    string
	limits    limits
	list      bool
}

const usage = `Usage: go run ./scripts/chaos [-target compose|local] [-scenario NAMES] [-report DIR] …

Loads the platform with votes, breaks parts of it, and proves (or refutes) that every vote that was
accepted is counted exactly once. It tells how long each wound took to heal.

  -target compose   breaks the containers that docker compose runs (./scripts/up starts them)
  -target local     starts a platform of its own as processes, with a proxy in every connection, so that
                    it can disturb the network too, and removes it in the end

Whatever it breaks is undone in the end, after Ctrl-C too; what a killed run left broken the next run
mends first. Exit status 0: the proof holds and everything healed in time. 1: it does not, or there is no
proof. 2: the arguments make no sense.

  go run ./scripts/chaos -scenario kill-worker,kill-redis -report /tmp/chaos
  go run ./scripts/chaos -target local -random 2m -seed 7
  go run ./scripts/chaos -target local -scenario kill-postgres -worker naive    # a worker that loses votes

`

const (
	targetAuto    = "auto"
	targetCompose = "compose"
	targetLocal   = "local"
	workerReal    = "real"
	workerNaive   = "naive"
)

// parse reads the arguments. With -help it writes the help to out and gives flag.ErrHelp.
func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.target, "target", targetAuto, "`what` to break: compose, local, or auto: the containers where they run, else processes")
	flags.StringVar(&o.project, "project", cmp.Or(os.Getenv("COMPOSE_PROJECT_NAME"), "petvote"), "with -target compose: the Compose project; also by COMPOSE_PROJECT_NAME")
	flags.StringVar(&o.scenarios, "scenario", "all", "`names`, separated by commas; -list shows them")
	flags.DurationVar(&o.random, "random", 0, "make faults up for so long, instead of scenarios")
	flags.Uint64Var(&o.seed, "seed", 0, "of -random: the same seed makes the same faults up (default: another one each time)")
	flags.IntVar(&o.rate, "rate", 300, "votes per second")
	flags.BoolVar(&o.retry, "retry", false, "send votes that were not accepted again under the same key, as the page does")
	flags.StringVar(&o.worker, "worker", workerReal, "with -target local: naive puts a worker in its place that pops a vote and then writes it")
	flags.StringVar(&o.report, "report", "", "write report.html, report.json and answers.jsonl to this `folder`")
	flags.StringVar(&o.jaeger, "jaeger", "", "`URL` of Jaeger's pages, for links to traces (default: that of the Compose project, or JAEGER_UI_URL)")
	flags.DurationVar(&o.limits.accept, "accept-within", 2*time.Second, "votes must be accepted again so soon after a fault's end")
	flags.DurationVar(&o.limits.drain, "drain-within", 5*time.Second, "the queue must be drained so soon")
	flags.DurationVar(&o.limits.current, "current-within", 5*time.Second, "the page must be current so soon")
	flags.DurationVar(&o.limits.answer, "answer-within", 2500*time.Millisecond, "every answer must come so soon, unless vote itself is broken")
	flags.BoolVar(&o.list, "list", false, "list the scenarios, and do nothing")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	set := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if o.seeded = set["seed"]; o.random > 0 && !o.seeded {
		o.seed = uint64(rand.Uint32())
	}
	return o, o.check(flags, set)
}

func (o options) check(flags *flag.FlagSet, set map[string]bool) error {
	var problem string
	switch {
	case flags.NArg() > 0:
		problem = fmt.Sprintf("unexpected argument %q; see -help", flags.Arg(0))
	case o.target != targetAuto && o.target != targetCompose && o.target != targetLocal:
		problem = fmt.Sprintf("-target %s: want compose, local or auto", o.target)
	case o.worker != workerReal && o.worker != workerNaive:
		problem = fmt.Sprintf("-worker %s: want real or naive", o.worker)
	case o.worker == workerNaive && o.target != targetLocal:
		problem = "-worker naive goes with -target local"
	case o.project == "" || strings.ContainsAny(o.project, "/ \t"):
		problem = fmt.Sprintf("-project %q: want the name of a Compose project", o.project)
	case o.rate < 1 || o.rate > 10_000:
		problem = fmt.Sprintf("-rate %d: want 1 to 10000", o.rate)
	case set["random"] && set["scenario"]:
		problem = "-random and -scenario exclude each other"
	case set["seed"] && o.random == 0:
		problem = "-seed goes with -random"
	case set["random"] && (o.random < 10*time.Second || o.random > time.Hour):
		problem = fmt.Sprintf("-random %v: want 10s to 1h", o.random)
	case o.jaeger != "" && !isURL(o.jaeger):
		problem = fmt.Sprintf("-jaeger %s: want http:// or https:// and a host", o.jaeger)
	case set["project"] && o.target == targetLocal:
		problem = "-project goes with -target compose"
	case min(o.limits.accept, o.limits.drain, o.limits.current, o.limits.answer) <= 0:
		problem = "the times must be more than 0"
	default:
		if _, _, err := choose(o.scenarios, func(fault) bool { return true }); err != nil {
			problem = err.Error()
		}
	}
	if problem != "" {
		return fmt.Errorf("chaos: %s", problem)
	}
	return nil
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
