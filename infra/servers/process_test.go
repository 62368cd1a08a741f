package servers_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"petvote/infra/servers"
)

// buffer is an output that may be read while the process writes to it.
type buffer struct {
	sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.Write(p)
}

func (b *buffer) holds(text string) bool {
	b.Lock()
	defer b.Unlock()
	return strings.Contains(b.String(), text)
}

// shell describes a shell that counts as ready when it has printed "ready".
func shell(script string) *servers.Process {
	out := new(buffer)
	return servers.NewProcess(servers.Spec{
		Name:   "shell",
		Path:   "/bin/sh",
		Args:   []string{"-c", script},
		Output: out,
		Ready: func(context.Context, int) error {
			if !out.holds("ready") {
				return errors.New("not yet")
			}
			return nil
		},
	})
}

// started returns a running shell, which ends with the test.
func started(t *testing.T, script string) *servers.Process {
	t.Helper()
	p := shell(script)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
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

func TestStartOfARunningProcessIsAnError(t *testing.T) {
	p := started(t, "echo ready; exec sleep 600")
	if err := p.Start(t.Context()); err == nil {
		t.Error("started twice")
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
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if left := processesNaming(t, "sleep 612.5"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestAnEndFromOutsideShowsInDoneAndErr(t *testing.T) {
	p := started(t, "echo ready; exec sleep 600")
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
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
