package servers_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"petvote/infra/servers"
	"petvote/infra/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// shell describes a shell that counts as ready when it has printed "ready".
func shell(script string) (p *servers.Process) {
	p = servers.NewProcess(servers.Spec{
		Name: "shell", Path: "/bin/sh", Args: []string{"-c", script},
		Ready: func(context.Context, int) error {
			if !strings.Contains(p.Log(), "ready") {
				return errors.New("not yet")
			}
			return nil
		},
	})
	return p
}

// started returns a running shell, which ends with the test.
func started(t *testing.T, script string) *servers.Process {
	t.Helper()
	p := shell(script)
	testenv.Must(t, p.Start(t.Context()))
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestStartOfAProcessThatEndsGivesItsLastWords(t *testing.T) {
	err := shell("echo the disk is on fire >&2; exit 3").Start(t.Context())
	var early *servers.EarlyExit
	if !errors.As(err, &early) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"shell", "exit status 3", "the disk is on fire"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}

func TestStartLeavesNothingRunningWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	p := shell("exec sleep 600")
	if err := p.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if p.Running() {
		t.Error("it runs on")
	}
}

func TestStopKillsAProcessThatWillNotStopAndSaysSo(t *testing.T) {
	p := started(t, `trap "" TERM; echo ready; while :; do sleep 0.05; done`)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got %v", err)
	}
	if p.Running() {
		t.Error("it runs on")
	}
}

func TestKillReachesGrandchildren(t *testing.T) {
	p := started(t, `sh -c 'sleep 612.5 & echo ready; wait' & wait`)
	testenv.Must(t, p.Kill())
	if left := processesNaming(t, "sleep 612.5"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestAProcessStartsOnceAndAnEndFromOutsideShowsInDoneAndErr(t *testing.T) {
	p := started(t, "echo ready; exec sleep 600")
	if err := p.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
	testenv.Must(t, syscall.Kill(p.PID(), syscall.SIGKILL))
	<-p.Done()
	if p.Err() == nil || p.Err().Error() != "signal: killed" {
		t.Errorf("Err is %v", p.Err())
	}
}

func TestMethodsOfAProcessThatNeverRan(t *testing.T) {
	p := shell("exit")
	if err := errors.Join(p.Kill(), p.Stop(t.Context())); err != nil {
		t.Error(err)
	}
	if p.Pause() == nil || p.Resume() == nil {
		t.Error("a process that does not run was paused or resumed")
	}
	if p.PID() != 0 || p.Running() || p.Err() != nil || p.Done() != nil {
		t.Error("a process that never ran has a past")
	}
}
