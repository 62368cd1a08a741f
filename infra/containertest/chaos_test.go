//go:build containers

package containertest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"petvote/infra/testenv"
)

// chaos is the program, built for a test, with a journal of its own.
func chaos(ctx context.Context, t *testing.T, program, home string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, program, append([]string{"-target", "compose", "-project", project}, args...)...)
	cmd.Dir, cmd.Env = platform.root, append(os.Environ(), "XDG_CACHE_HOME="+home)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it undoes its faults
	cmd.WaitDelay = time.Minute
	return cmd
}

func buildChaos(ctx context.Context, t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "chaos")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "petvote/scripts/chaos").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// The tool that people break the platform with finds nothing lost, on the very containers that they break.
func TestChaosProvesThatNothingIsLost(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	report := t.TempDir()
	out, err := chaos(ctx, t, buildChaos(ctx, t), t.TempDir(), "-rate", "100", "-report", report,
		"-scenario", "kill-redis,pause-postgres,cut-vote-redis,crash-after-commit,full-redis,full-postgres").CombinedOutput()
	t.Logf("%s", out)
	if !proved(err) {
		t.Error(err)
	}
	var r struct {
		Verdict   struct{ Proof string }
		Scenarios []struct{ Proof struct{ Accepted, Lost int } }
	}
	text, err := os.ReadFile(filepath.Join(report, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil || r.Verdict.Proof != "held" || len(r.Scenarios) != 6 {
		t.Errorf("%v: %+v", err, r)
	}
	for _, s := range r.Scenarios {
		if s.Proof.Accepted == 0 || s.Proof.Lost > 0 {
			t.Errorf("%+v", s)
		}
	}
}

// proved accepts a slow recovery too, exit status 3: the machine may be busy.
func proved(err error) bool {
	var exit *exec.ExitError
	return err == nil || errors.As(err, &exit) && exit.ExitCode() == 3
}

// A run that is killed in the middle of a fault leaves it behind, and the next one undoes it.
func TestTheNextChaosRunUndoesTheFaultsOfAKilledOne(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	program, home := buildChaos(ctx, t), t.TempDir()
	for _, left := range []struct{ scenario, fault, container, status string }{
		{"pause-redis", "pause redis", "redis-1", "paused"},
		{"kill-vote", "kill vote", "vote-1", "exited"},
	} {
		t.Run(left.scenario, func(t *testing.T) {
			leaveBehind(ctx, t, program, home, left.scenario, left.fault, left.container, left.status)
			out, err := chaos(ctx, t, program, home, "-rate", "20", "-scenario", "kill-result").CombinedOutput()
			if !proved(err) || !strings.Contains(string(out), "undoing a fault that an earlier run left: "+left.fault) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// leaveBehind kills a run in the middle of its fault.
func leaveBehind(ctx context.Context, t *testing.T, program, home, scenario, fault, name, status string) {
	t.Helper()
	first := chaos(ctx, t, program, home, "-rate", "20", "-scenario", scenario)
	stderr, err := first.StderrPipe()
	testenv.Must(t, err)
	testenv.Must(t, first.Start())
	said := bufio.NewScanner(stderr)
	for said.Scan() && !strings.Contains(said.Text(), fault+" begins") {
	}
	if said.Text() == "" {
		t.Error("it never began")
	}
	eventually(ctx, t, func() error {
		if is := inspect(ctx, t)[name].State.Status; is != status {
			return errors.New(name + " is " + is)
		}
		return nil
	})
	testenv.Must(t, first.Process.Kill())
	_ = first.Wait()
}
