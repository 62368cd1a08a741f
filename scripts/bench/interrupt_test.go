package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"petvote/infra/testenv"
	"petvote/infra/wait"
)

// endsWithin is how long an interrupted run may take to end everything, and leftWithin how long the shell that would
// sweep up after a killed run may take to see that nothing is left. It would kill what is left only later.
const endsWithin, leftWithin = 30 * time.Second, 15 * time.Second

func TestCtrlCInTheMiddleOfARunLeavesNothingBehind(t *testing.T) {
	if runtime.GOOS != "linux" || testing.Short() {
		t.Skip("runs a whole platform, and looks for its processes in /proc")
	}
	dir, err := os.MkdirTemp("", "petvote-bench-test-")
	testenv.Must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	testenv.Must(t, os.Chmod(dir, 0o755)) // Redis and PostgreSQL may run as users of their own
	program := filepath.Join(dir, "bench")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tmp := filepath.Join(dir, "tmp")
	testenv.Must(t, os.Mkdir(tmp, 0o755))
	for _, c := range []struct {
		when string
		wait func(await func(text string))
	}{
		{"before the load", func(await func(string)) { await("accept: ") }},
		{"under load", func(await func(string)) {
			await("accept: ")
			loaded(t, dir)
		}},
	} {
		t.Run(c.when, func(t *testing.T) {
			cmd := exec.Command(program, "-run", "accept", "-out", filepath.Join(dir, "out"))
			cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C goes to all of the group
			progress, err := cmd.StderrPipe()
			testenv.Must(t, err)
			testenv.Must(t, cmd.Start())
			t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() }) // where the test gave up
			hangs := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
			defer hangs.Stop()
			var all strings.Builder
			said := bufio.NewScanner(progress)
			c.wait(func(text string) {
				for said.Scan() {
					all.WriteString(said.Text() + "\n")
					if strings.Contains(said.Text(), text) {
						return
					}
				}
				t.Fatalf("it ended without %q:\n%s", text, &all)
			})
			interrupted := time.Now()
			testenv.Must(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
			last := ""
			for said.Scan() {
				last = said.Text()
				all.WriteString(last + "\n")
			}
			_ = cmd.Wait() // its status is asked for below
			took, status := time.Since(interrupted), cmd.ProcessState.ExitCode()
			if took > endsWithin || status != 1 || last != "bench: interrupt signal received" {
				t.Errorf("exit status %d after %v, the last line is %q of\n%s", status, took, last, &all)
			}
			left, err := os.ReadDir(tmp)
			if err != nil || len(left) > 0 {
				t.Errorf("left in the temporary folder: %v, %v", left, err)
			}
			testenv.Must(t, wait.Until(t.Context(), leftWithin, func(context.Context) error {
				if left := processesOf(dir); len(left) > 0 {
					return fmt.Errorf("still running: %q", slices.Collect(maps.Keys(left)))
				}
				return nil
			}))
		})
	}
}

var opsPort = regexp.MustCompile(`(?s)CONSUMER_NAME=vote-1\x00.*\x00OPS_PORT=(\d+)\x00`)

// loaded waits until the vote service in a folder has answered votes.
func loaded(t *testing.T, dir string) {
	t.Helper()
	testenv.Eventually(t, func() error {
		port := opsPort.FindStringSubmatch(strings.Join(slices.Collect(maps.Values(processesOf(dir))), "\n"))
		if port == nil {
			return errors.New("no vote service runs")
		}
		resp, err := http.Get("http://127.0.0.1:" + port[1] + "/metrics")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err == nil && !strings.Contains(string(text), `http_route="/vote"`) {
			err = errors.New("no vote is answered")
		}
		return err
	})
}

// processesOf are the processes that have to do with a folder: the environment of each by its command line.
func processesOf(dir string) map[string]string {
	found := make(map[string]string)
	all, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	for _, p := range all {
		line, _ := os.ReadFile(filepath.Join(p, "cmdline")) // it may have ended
		environ, _ := os.ReadFile(filepath.Join(p, "environ"))
		cwd, _ := os.Readlink(filepath.Join(p, "cwd"))
		if strings.Contains(string(line)+string(environ)+cwd, dir) {
			found[string(line)] = string(environ)
		}
	}
	return found
}
