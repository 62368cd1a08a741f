// Command chaos loads the running platform with votes, breaks parts of it on a schedule, and proves or refutes that
// every accepted vote is counted exactly once. It also measures how long each recovery took:
//
//	go run ./scripts/chaos -report DIR
//
// A [scenario.Scenario] is a schedule of faults, as data. A [target.Target] is a platform that faults can be injected
// into: containers or processes. The [runner] injects the one into the other while voters vote, a viewer watches the
// results page and an [observer] reads queue, store and services; the ledger then compares the answers with the stored
// votes. The [record] keeps all of it, with one verdict about the proof and one about the recovery, and the report
// shows it.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"petvote/infra/containers"
	"petvote/infra/platform"
	"petvote/infra/tool"
	"petvote/infra/wait"
	"petvote/scripts/chaos/record"
	"petvote/scripts/chaos/report"
	"petvote/scripts/chaos/scenario"
	"petvote/scripts/chaos/target"
	"petvote/scripts/chaos/target/compose"
	"petvote/scripts/chaos/target/local"
)

func main() { os.Exit(tool.Main("chaos", run)) }

// run returns the exit status that the help describes.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	if len(args) == 1 && args[0] == local.NaiveCommand {
		if err := local.NaiveWorker(ctx, os.Environ()); err != nil {
			fmt.Fprintln(progress, err)
			return 1
		}
		return 0
	}
	o, status, ok := parse(args, progress)
	if !ok {
		return status
	}
	if o.list {
		for _, s := range scenario.All(o.queues) {
			fmt.Fprintf(out, "%-20s %s\n", s.Name, s.Hypothesis)
		}
		return 0
	}
	r, err := attack(ctx, o, args, progress)
	if r != nil && len(r.Scenarios) > 0 {
		report.Summarise(out, r)
	}
	if err != nil && r == nil && ctx.Err() != nil {
		err = errors.New("interrupted during the start")
	}
	if err != nil {
		fmt.Fprintf(progress, "chaos: %v\n", err)
		if r == nil && o.project != "" && errors.Is(err, containers.ErrNone) {
			return 2 // -project names none
		}
		return 1
	}
	return r.ExitStatus()
}

// attack runs what the options ask for. The record is nil if nothing was run. An error beside a record does not affect
// the verdicts of the scenarios in it.
func attack(ctx context.Context, o options, args []string, progress io.Writer) (r *record.Run, err error) {
	folder := o.report
	if folder == "" {
		if folder, err = os.MkdirTemp("", "petvote-answers-*"); err != nil {
			return nil, err
		}
		defer func() {
			answers := filepath.Join(folder, "answers.jsonl")
			info, missing := os.Stat(answers)
			if r == nil || r.Verdict.Proof == record.Held || missing != nil || info.Size() == 0 {
				err = errors.Join(err, os.RemoveAll(folder))
			} else {
				fmt.Fprintln(progress, "every answer is in", answers)
			}
		}()
	} else if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	t, err := openTarget(ctx, &o, progress)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close(context.WithoutCancel(ctx))) }()
	say := log.New(progress, "", 0)
	defer context.AfterFunc(ctx, func() {
		say.Print("interrupted: undoing the faults, then proving what there is (interrupt again to leave at once)")
	})()
	if err := undoLeftovers(ctx, t, say); err != nil {
		return nil, err
	}
	chosen, skipped, err := o.choose(t)
	if err != nil {
		return nil, err
	}
	if len(skipped) > 0 {
		say.Printf("this target can't run: %s", strings.Join(skipped, ", "))
	}
	answers, err := os.Create(filepath.Join(folder, "answers.jsonl"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, answers.Sync(), answers.Close()) }()

	machine := fmt.Sprintf("%d cores, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	r = &record.Run{Started: time.Now(), Command: o.command(args), Machine: machine,
		Target: o.target, Queues: t.Queues(), Worker: o.worker, Rate: o.rate, Retry: o.retry, Seed: o.seed}
	o.limits.Sampling = t.Sampling()
	runner := &runner{target: t, options: o, answers: answers, log: say}
	err = runner.runAll(ctx, chosen, r)
	r.Seconds, r.Interrupted = time.Since(r.Started).Seconds(), ctx.Err() != nil
	r.Judge(err)
	if o.report != "" {
		if err = errors.Join(err, report.Write(folder, r)); err == nil {
			say.Printf("the report is %s", filepath.Join(folder, "report.html"))
		}
	}
	return r, err
}

// undoLeftovers undoes the faults that an earlier run left, and waits until every service has recovered.
func undoLeftovers(ctx context.Context, t target.Target, say *log.Logger) error {
	left := t.Leftovers()
	for _, f := range left {
		say.Printf("undoing a fault that an earlier run left: %s", f)
		if err := t.Undo(ctx, f); err != nil {
			return fmt.Errorf("undo %s: %w", f, err)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return allReady(ctx, t)
}

// allReady waits until every service is ready, and not just degraded.
func allReady(ctx context.Context, t target.Target) error {
	return wait.Until(ctx, recoveryLimit, func(ctx context.Context) error {
		for _, service := range platform.Services {
			if h, err := t.Health(ctx, service); err != nil || h.Status != "ready" {
				return fmt.Errorf("%s is not ready: %s %w", service, h.Status, err)
			}
		}
		return nil
	})
}

// openTarget decides on the target, and reserves it for this run.
func openTarget(ctx context.Context, o *options, progress io.Writer) (target.Target, error) {
	if o.target != targetLocal {
		c, err := compose.Open(ctx, o.project, string(o.jaeger))
		if c != nil || o.target == targetCompose { // c with an error: another run is using it
			o.target = targetCompose
			if c != nil {
				o.target += " project " + string(c.Project)
			}
			if err == nil && o.queues > c.Queues() {
				err = errors.Join(errors.New("the platform has one queue; TWO_QUEUES=1 docker compose up -d, "+
					"with the files that it was started with, adds a second"), c.Close(ctx))
			}
			return c, err
		}
		fmt.Fprintf(progress, "No containers to break (%v): starting processes instead.\n", err)
	}
	o.target = targetLocal
	jaeger := cmp.Or(string(o.jaeger), os.Getenv("JAEGER_UI_URL"))
	return local.Start(ctx, o.queues, o.worker == workerNaive, jaeger, progress)
}

// loadAverage is the machine's over the last minute; 0 where there is no /proc.
func loadAverage() (load float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, _ = fmt.Sscan(string(text), &load)
	}
	return load
}
