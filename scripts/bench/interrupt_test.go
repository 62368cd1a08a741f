package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"petvote/infra/testenv"
	"petvote/infra/tool"
	"petvote/infra/wait"
)

// endsWithin is how long an interrupted run may take to end everything, and leftWithin how long the shell that would
// sweep up after a killed run may take to see that nothing is left. It would kill what is left only later.
const endsWithin, leftWithin = 30 * time.Second, 15 * time.Second

// asBench makes this test program the bench, and the bare handler that it starts.
const asBench = "PETVOTE_TEST_BENCH"

func TestMain(m *testing.M) {
	if os.Getenv(asBench) != "" {
		os.Exit(tool.Main("bench", run))
	}
	os.Exit(m.Run())
}

func TestCtrlCInTheMiddleOfARunLeavesNothingBehind(t *testing.T) {
	testenv.Slow(t)
	if runtime.GOOS != "linux" {
		t.Skip("looks for the run's processes in /proc")
	}
	for when, text := range map[string]string{"before the load": "accept: ", "under load": "round 2 of"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "petvote-bench-test-")
			testenv.Must(t, err)
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			testenv.Must(t, os.Chmod(dir, 0o755)) // Redis and PostgreSQL may run as users of their own
			cmd := exec.Command(os.Args[0], "-run", "accept")
			cmd.Env = append(os.Environ(), "TMPDIR="+dir, asBench+"=yes")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C goes to all of the group
			progress, err := cmd.StderrPipe()
			testenv.Must(t, err)
			testenv.Must(t, cmd.Start())
			t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() }) // where the test gave up
			hangs := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
			defer hangs.Stop()
			var all []string
			var interrupted time.Time
			for said := bufio.NewScanner(progress); said.Scan(); {
				all = append(all, said.Text())
				if interrupted.IsZero() && strings.Contains(said.Text(), text) {
					interrupted = time.Now()
					testenv.Must(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
				}
			}
			_ = cmd.Wait() // its status is asked for below
			took, status := time.Since(interrupted), cmd.ProcessState.ExitCode()
			if took > endsWithin || status != 1 || all[len(all)-1] != "bench: interrupt signal received" {
				t.Errorf("exit status %d after %v:\n%s", status, took, strings.Join(all, "\n"))
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) > 0 {
				t.Errorf("left in the temporary folder: %v, %v", left, err)
			}
			testenv.Must(t, wait.Until(t.Context(), leftWithin, func(context.Context) error {
				if left := processesOf(dir); len(left) > 0 {
					return fmt.Errorf("still running: %q", left)
				}
				return nil
			}))
		})
	}
}

// processesOf are the command lines of the processes that have to do with a folder.
func processesOf(dir string) (found []string) {
	all, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	for _, p := range all {
		line, _ := os.ReadFile(filepath.Join(p, "cmdline")) // it may have ended
		environ, _ := os.ReadFile(filepath.Join(p, "environ"))
		cwd, _ := os.Readlink(filepath.Join(p, "cwd"))
		if strings.Contains(string(line)+string(environ)+cwd, dir) {
			found = append(found, string(line))
		}
	}
	return found
}
