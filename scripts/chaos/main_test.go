package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"petvote/infra/containers"
	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/testenv"
	"petvote/scripts/chaos/record"
	"petvote/scripts/chaos/scenario"
	"petvote/scripts/chaos/target"
	"petvote/scripts/chaos/target/local"
)

// TestMain lets the test program be the naive worker, as the real program does: the local target starts its own
// program.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == local.NaiveCommand {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// chaos runs the whole program and returns its exit status and its record. Runs that starve each other of CPU would
// accept too few votes to prove anything, so that only tests with few votes are parallel.
func chaos(ctx context.Context, t *testing.T, progress *trigger, args ...string) (int, record.Run) {
	t.Helper()
	folder := t.TempDir()
	var out bytes.Buffer
	code := run(ctx, append([]string{"-target", "local", "-report", folder}, args...), &out, progress)
	t.Logf("exit status %d\n%s\n%s", code, &progress.said, &out)
	var r record.Run
	text, err := os.ReadFile(filepath.Join(folder, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	testenv.Must(t, err)
	for _, file := range []string{"report.html", "answers.jsonl"} {
		if info, err := os.Stat(filepath.Join(folder, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	return code, r
}

// trigger calls pull once the word is written to it.
type trigger struct {
	word string
	pull func()
	said bytes.Buffer
}

func (w *trigger) Write(p []byte) (int, error) {
	if w.word != "" && strings.Contains(string(p), w.word) {
		w.pull()
	}
	return w.said.Write(p)
}

// held checks the proof and no more: the recovery may be slow on a busy machine.
func held(t *testing.T, code int, r record.Run, scenarios int) {
	t.Helper()
	if code != 0 && code != 3 || r.Verdict.Proof != record.Held || len(r.Scenarios) != scenarios {
		t.Fatalf("exit status %d, %+v, %d scenarios", code, r.Verdict, len(r.Scenarios))
	}
}

func TestTheRealWorkerLosesNothing(t *testing.T) {
	testenv.Slow(t)
	const several = "kill-postgres,hang-one-redis,crash-after-commit,failover-postgres,failover-redis"
	code, r := chaos(t.Context(), t, new(trigger), "-scenario", several, "-rate", "150", "-queues", "2")
	held(t, code, r, 5)
	for _, o := range r.Scenarios {
		p := o.Proof
		if p.Accepted == 0 || p.Lost != 0 || p.CountedTwice != 0 || p.Books.Difference != 0 || p.Shown.Total() != p.Rows ||
			len(o.Timeline) == 0 {
			t.Errorf("%s: %+v", o.Name, p)
		}
	}
	failed := slices.ContainsFunc(r.Scenarios[1].Episodes, func(i record.Interval) bool {
		return i.Service == platform.Vote && i.What == "calls redis-0"
	})
	if p := r.Scenarios[1].Proof; p.Accepted < p.Sent && !failed { // by a busy machine
		t.Errorf("%d of %d votes were accepted while one of two Redis hung and the other worked", p.Accepted, p.Sent)
	}
	for want, o := range map[record.Interval]record.Outcome{
		{Service: "worker", What: "breaker postgres", State: "open"}: r.Scenarios[0],
		{Service: "vote", What: "readiness", State: "degraded"}:      r.Scenarios[1],
		{Service: "vote", What: "calls redis-1", State: "failing"}:   r.Scenarios[1],
	} {
		if !slices.ContainsFunc(o.Episodes, func(i record.Interval) bool {
			return i.Service == want.Service && i.What == want.What && i.State == want.State && i.To > i.From
		}) {
			t.Errorf("nothing shows that %s of %s was %s: %+v", want.What, want.Service, want.State, o.Episodes)
		}
	}
}

// recovering is a target that records what is done to it. Its services are degraded for a while after each fault.
type recovering struct {
	target.Target
	done     []string
	degraded int
}

func (r *recovering) Prepare(context.Context, scenario.Fault) error { return nil }

func (r *recovering) Inject(_ context.Context, f scenario.Fault) error {
	r.done = append(r.done, f.String())
	return nil
}

func (r *recovering) Undo(_ context.Context, f scenario.Fault) error {
	r.done, r.degraded = append(r.done, "end of "+f.String()), 3
	return nil
}

func (r *recovering) Health(context.Context, string) (target.Health, error) {
	if r.degraded--; r.degraded > 0 {
		return target.Health{Status: "degraded"}, nil
	}
	r.done = append(r.done, "ready")
	return target.Health{Status: "ready"}, nil
}

func TestAFaultInTurnWaitsForTheRecoveryFromTheOneBefore(t *testing.T) {
	flip, _, err := scenario.Choose("flip-flop", 2, func(scenario.Fault) bool { return true })
	testenv.Must(t, err)
	synctest.Test(t, func(t *testing.T) {
		on := new(recovering)
		r := &runner{target: on, log: log.New(io.Discard, "", 0)}
		windows, err := r.disturb(t.Context(), flip[0], &observer{answers: ledger.New(nil)})
		const healthy = "ready, ready, ready, "
		const want = "kill redis2, end of kill redis2, " + healthy + "pause redis, end of pause redis, " + healthy +
			"kill redis, end of kill redis, " + healthy + "pause redis2, end of pause redis2"
		if got := strings.Join(on.done, ", "); err != nil || len(windows) != 4 || got != want {
			t.Errorf("%s, %v", got, err)
		}
	})
}

func TestTheNaiveWorkerIsCaught(t *testing.T) {
	t.Parallel()
	code, r := chaos(t.Context(), t, new(trigger), "-scenario", "kill-postgres", "-rate", "50", "-worker", "naive")
	if code != 1 || r.Verdict.Proof != record.Refuted || len(r.Scenarios) != 1 {
		t.Fatalf("exit status %d, %+v", code, r.Verdict)
	}
	p := r.Scenarios[0].Proof
	if p.Lost == 0 || len(p.LostIDs) != p.Lost || p.Books.Difference == 0 {
		t.Errorf("%d of %d votes lost, the books differ by %d", p.Lost, p.Accepted, p.Books.Difference)
	}
}

func TestVotesThatAreSentAgainUnderTheirKeyAreAllAcceptedAndCountOnce(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	code, r := chaos(t.Context(), t, new(trigger), "-scenario", "kill-redis", "-rate", "30", "-retry")
	held(t, code, r, 1)
	if p := r.Scenarios[0].Proof; p.Retries == 0 || p.Accepted != p.Sent || p.Stored != p.Sent {
		t.Errorf("%+v", p)
	}
}

func TestAnInterruptUndoesTheFaultsAndStillProves(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := &trigger{word: "pause worker begins", pull: cancel}
	code, r := chaos(ctx, t, begun, "-scenario", "pause-worker,kill-redis", "-rate", "50")
	if code != 1 || !r.Interrupted || r.Verdict.Proof != record.Held || len(r.Scenarios) != 1 ||
		r.Scenarios[0].Proof.Accepted == 0 {
		t.Errorf("exit status %d, %+v", code, r)
	}
}

func TestAnInterruptOfTheStartLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Setenv("TMPDIR", t.TempDir())
	said := &trigger{word: "starting Redis", pull: cancel}
	code := run(ctx, []string{"-target", "local"}, &said.said, said)
	if code != 1 || !strings.Contains(said.said.String(), "interrupted") {
		t.Errorf("exit status %d, %s", code, &said.said)
	}
	// A process that went on would still work in its folder, removed or not (Linux).
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), "petvote-chaos-*"))
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, os.TempDir()) {
			left = append(left, cwd)
		}
	}
	if len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}

// vanishing is a platform that is removed while it is watched.
type vanishing struct {
	*local.Target
	removed atomic.Bool
}

func (v *vanishing) Health(ctx context.Context, service string) (target.Health, error) {
	if v.removed.Load() {
		return target.Health{}, containers.ErrNone
	}
	return v.Target.Health(ctx, service)
}

func TestTheRunEndsWhenThePlatformIsRemoved(t *testing.T) {
	testenv.Slow(t)
	platform, err := local.Start(t.Context(), 1, false, "", io.Discard)
	testenv.Must(t, err)
	defer func() { testenv.Must(t, platform.Close(t.Context())) }()
	answers, err := os.Create(filepath.Join(t.TempDir(), "answers"))
	testenv.Must(t, err)
	defer answers.Close()
	v := &vanishing{Target: platform}
	said := &trigger{word: "pause worker begins", pull: func() { v.removed.Store(true) }}
	pause, _, err := scenario.Choose("pause-worker", 1, v.Can)
	testenv.Must(t, err)
	pause[0].Steps[0].Lasts = time.Hour
	r := &runner{target: v, options: options{rate: 50}, answers: answers, log: log.New(said, "", 0)}
	var into record.Run
	if err := r.runAll(t.Context(), pause, &into); !errors.Is(err, containers.ErrNone) || len(into.Scenarios) > 0 {
		t.Errorf("%v, %d scenarios", err, len(into.Scenarios))
	}
}

func TestArgumentsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range []string{
		"-target moon", "-worker lazy", "-worker naive", "-rate 0", "-scenario kill-everyone", "-seed 3", "-random 1s",
		"-random 1m -scenario all", "-project x/y", "-target compose -scenario slow-redis", "-project x -target local",
		"-queues 3", "-target local -scenario flip-flop", "-target local -worker naive -queues 2",
		"-jaeger not-a-url",
		"-accept-within 0s", "more",
	} {
		var said bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), &bytes.Buffer{}, &said); code != 2 || said.Len() == 0 {
			t.Errorf("%s: exit status %d, %s", args, code, &said)
		}
	}
	var help, list bytes.Buffer
	helped, listed := run(t.Context(), []string{"-help"}, &list, &help), run(t.Context(), []string{"-list"}, &list, &help)
	if helped != 0 || !strings.Contains(help.String(), "Exit status") {
		t.Errorf("-help: exit status %d, %s", helped, &help)
	}
	if listed != 0 || strings.Count(list.String(), "\n") != len(scenario.All(1)) {
		t.Errorf("-list: exit status %d, %s", listed, &list)
	}
}

func TestOnlyServicesThatNobodyTouchedCountAsRestarted(t *testing.T) {
	s := scenario.Scenario{Steps: []scenario.Step{{Fault: scenario.Fault{Kind: scenario.Kill, Part: platform.Worker}}}}
	before := map[string]string{platform.Vote: "1", platform.Worker: "2", platform.Result: "3"}
	after := map[string]string{platform.Vote: "1", platform.Worker: "9", platform.Result: "4"}
	if got := restarted(s, before, after); got != platform.Result {
		t.Errorf("restarted: %q", got)
	}
}
