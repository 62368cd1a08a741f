// Command chaos loads the running platform, breaks parts of it on a schedule, and ends with a proof, or a refutation, that every
// vote that was accepted is counted exactly once, and with how long each wound took to heal:
//
//	go run ./scripts/chaos -report DIR
//
// A [scenario] is faults on a schedule. A [target] is a platform with hands to break it: containers or processes. The [runner]
// carries out one on the other while [voters] vote, a [screen] watches the results page and an [observer] looks at queue, store
// and services; [prove] compares what was answered with what is stored. The [journal] sees to it that every fault is undone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"petvote/shared/lifecycle"
)

func main() {
	if lifecycle.PrintVersion(os.Stdout, "chaos", os.Args[1:]) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // a second signal ends the program at once, and the next run mends what it leaves
	if len(os.Args) == 2 && os.Args[1] == naiveCommand {
		if err := naiveWorker(ctx, os.Environ()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns 0 if the proof holds, 1 if it does not or there is none, and 2 for arguments that make no sense.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	o, err := parse(args, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(progress, err)
		return 2
	case o.list:
		for _, s := range scenarios() {
			fmt.Fprintf(out, "%-20s %s\n", s.name, s.hypothesis)
		}
		return 0
	}
	r, err := attack(ctx, o, args, progress)
	if r != nil && len(r.Scenarios) > 0 {
		fmt.Fprint(out, r)
	}
	if err != nil {
		fmt.Fprintf(progress, "chaos: %v\n", err)
	}
	if err != nil || !r.Passed {
		return 1
	}
	return 0
}

// attack runs what the options ask for. The record is nil if nothing was run; an error beside a record means that something
// went wrong that leaves the proof of the scenarios in it as it is.
func attack(ctx context.Context, o options, args []string, progress io.Writer) (r *record, err error) {
	target, j, err := openTarget(ctx, &o, progress)
	if err != nil {
		return nil, err
	}
	folder, temporary, err := reportFolder(o.report)
	if err != nil {
		return nil, errors.Join(err, target.close(context.WithoutCancel(ctx)), j.release())
	}
	defer func() {
		err = errors.Join(err, target.close(context.WithoutCancel(ctx)), j.release())
		if temporary && (r == nil || r.Passed) {
			err = errors.Join(err, os.RemoveAll(folder))
		}
	}()
	show := newDisplay(progress)
	defer context.AfterFunc(ctx, func() {
		show.say("interrupted: undoing what is broken, then proving what there is (once more to leave at once)")
	})()
	if err := mend(ctx, target, j, show); err != nil {
		return nil, err
	}
	chosen, left, err := o.choose(target.can)
	if err != nil {
		return nil, err
	}
	if len(left) > 0 {
		show.say("not with this target: %s", strings.Join(left, ", "))
	}
	log, err := openAnswerLog(filepath.Join(folder, "answers.jsonl"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.close()) }()

	r = &record{Started: time.Now(), Command: "go run ./scripts/chaos " + strings.Join(o.repeat(args), " "), Machine: machine(),
		Target: o.target, Worker: o.worker, Rate: o.rate, Retry: o.retry, Seed: o.seed, Passed: true}
	runner := &runner{target: target, rate: o.rate, retry: o.retry, limits: o.limits, journal: j, log: log, show: show}
	for i, s := range chosen {
		if ctx.Err() != nil {
			break
		}
		show.say("%d of %d  %s: %s", i+1, len(chosen), s.name, s.hypothesis)
		outcome, failure := runner.run(ctx, s)
		if failure != nil && ctx.Err() != nil {
			break // what docker or a server says of it is only that it was interrupted
		}
		if failure != nil {
			err = fmt.Errorf("%s: %w", s.name, failure)
			r.Passed = false
			break
		}
		show.say("%s", outcome.line())
		r.Scenarios = append(r.Scenarios, outcome)
		r.Passed = r.Passed && outcome.Passed
	}
	r.Seconds = time.Since(r.Started).Seconds()
	if r.Interrupted = ctx.Err() != nil; r.Interrupted {
		r.Passed = false
	}
	if temporary {
		if !r.Passed {
			show.say("every answer is in %s", filepath.Join(folder, "answers.jsonl"))
		}
		return r, err
	}
	if err := errors.Join(err, r.write(folder)); err != nil {
		return r, err
	}
	show.say("the report is %s", filepath.Join(folder, "report.html"))
	return r, nil
}

// mend undoes what a run before this one has left broken, and waits until the platform has come to itself.
func mend(ctx context.Context, t target, j *journal, show *display) error {
	left := j.left()
	for _, f := range left {
		show.say("undoing what a run before this one has left: %s", f)
		if err := t.heal(ctx, f); err != nil {
			return fmt.Errorf("undo %s: %w", f, err)
		}
		if err := j.close(f); err != nil {
			return err
		}
	}
	if len(left) == 0 {
		return nil
	}
	return eventually(ctx, healLimit, func(ctx context.Context) error {
		for _, service := range services {
			if h, err := t.health(ctx, service); err != nil || h.Status != "ready" {
				return fmt.Errorf("%s is not well again: %s %w", service, h.Status, err)
			}
		}
		return nil
	})
}

// reportFolder makes the folder for the report, or else a temporary one for the answers.
func reportFolder(path string) (folder string, temporary bool, err error) {
	if path == "" {
		folder, err = os.MkdirTemp("", "petvote-answers-*")
		return folder, true, err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return "", false, fmt.Errorf("report: %w", err)
	}
	return path, false, nil
}

// openTarget decides on the target, and takes it for this run alone.
func openTarget(ctx context.Context, o *options, progress io.Writer) (target, *journal, error) {
	if o.target != targetLocal {
		c, err := newCompose(ctx, o.project, o.jaeger)
		switch {
		case err == nil:
			o.target = targetCompose
			path, err := journalPath(o.project)
			if err != nil {
				return nil, nil, err
			}
			j, err := openJournal(path)
			return c, j, err
		case o.target == targetCompose:
			return nil, nil, err
		}
		fmt.Fprintf(progress, "No containers to break (%v): starting processes instead.\n", err)
	}
	o.target = targetLocal
	source, err := os.Getwd()
	if err != nil {
		return nil, nil, err
	}
	jaeger := o.jaeger
	if jaeger == "" {
		jaeger = os.Getenv("JAEGER_UI_URL")
	}
	t, err := newLocal(ctx, localConfig{source: source, environ: os.Environ(), naive: o.worker == workerNaive, log: progress, jaeger: jaeger})
	if err != nil {
		return nil, nil, err
	}
	j, err := openJournal("")
	return t, j, err
}

func (o options) choose(can func(fault) bool) ([]scenario, []string, error) {
	if o.random > 0 {
		return []scenario{randomScenario(o.seed, o.random, can)}, nil, nil
	}
	return choose(o.scenarios, can)
}

// repeat are arguments that run the same again.
func (o options) repeat(args []string) []string {
	if o.random > 0 && !o.seeded {
		args = append(args[:len(args):len(args)], fmt.Sprintf("-seed=%d", o.seed))
	}
	return args
}

func machine() string {
	return fmt.Sprintf("%d cores, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}
