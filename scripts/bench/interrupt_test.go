package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endsWithin is how long a run that is interrupted may take to end everything.
const endsWithin = 10 * time.Second

// sweptWithin is how long the shell that would sweep up after a run that is killed may take to see that there is nothing to do. It
// would kill what is left only later.
const sweptWithin = 3 * time.Second

func TestCtrlCInTheMiddleOfARunLeavesNothingBehind(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("looks for processes in /proc")
	}
	dir, err := os.MkdirTemp("", "petvote-bench-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // Redis and PostgreSQL may run as users of their own
		t.Fatal(err)
	}
	program := filepath.Join(dir, "bench")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		when string
		wait func(*testing.T, *bufio.Scanner, *strings.Builder)
	}{
		{"before the load", func(t *testing.T, said *bufio.Scanner, all *strings.Builder) { await(t, said, all, "accept: ") }},
		{"under load", func(t *testing.T, said *bufio.Scanner, all *strings.Builder) {
			await(t, said, all, "profiles: ")
			await(t, said, all, "profiles: ")
			ops, _, _ := strings.Cut(await(t, said, all, "profiles: "), "/debug")
			loaded(t, ops+"/metrics")
		}},
	} {
		t.Run(c.when, func(t *testing.T) {
			cmd := exec.Command(program, "-run", "accept", "-pprof", "-out", filepath.Join(dir, "out"))
			cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C goes to all of the group
			progress, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() }) // where the test gave up
			hangs := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
			defer hangs.Stop()
			var all strings.Builder
			said := bufio.NewScanner(progress)
			c.wait(t, said, &all)
			interrupted := time.Now()
			if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			last := ""
			for said.Scan() {
				last = said.Text()
				all.WriteString(last + "\n")
			}
			_ = cmd.Wait() // its status is asked for below
			if took := time.Since(interrupted); took > endsWithin || cmd.ProcessState.ExitCode() != 1 || last != "bench: interrupt signal received" {
				t.Errorf("exit status %d after %v, the last line is %q of\n%s", cmd.ProcessState.ExitCode(), took, last, &all)
			}
			if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
				t.Errorf("left in the temporary folder: %v, %v", left, err)
			}
			left := processesOf(dir)
			for deadline := time.Now().Add(sweptWithin); len(left) > 0 && time.Now().Before(deadline); left = processesOf(dir) {
				time.Sleep(20 * time.Millisecond) // between two looks
			}
			if len(left) > 0 {
				t.Errorf("still running: %q", left)
			}
		})
	}
}

// await reads on to a line with a text, and returns what follows the text.
func await(t *testing.T, said *bufio.Scanner, all *strings.Builder, text string) string {
	t.Helper()
	for said.Scan() {
		all.WriteString(said.Text() + "\n")
		if _, rest, ok := strings.Cut(said.Text(), text); ok {
			return rest
		}
	}
	t.Fatalf("it ended without %q:\n%s", text, all)
	return ""
}

// loaded waits until the vote service has answered votes.
func loaded(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if strings.Contains(string(text), `http_route="/vote"`) {
				return
			}
		}
		_ = pause(ctx, 50*time.Millisecond)
	}
	t.Fatal("no vote is answered")
}

// processesOf are the command lines of those that have to do with a folder.
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
