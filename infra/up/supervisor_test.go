package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"petvote/infra/servers"
)

// quick keeps the shape of the real backoff and takes less time.
var quick = Backoff{First: 5 * time.Millisecond, Most: 40 * time.Millisecond, Healthy: time.Hour}

// transcript is a log's output that can be read while it is written.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until the transcript holds a text that often.
func (o *transcript) await(t *testing.T, text string, times int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for strings.Count(o.String(), text) < times {
		if time.Now().After(deadline) {
			t.Fatalf("not %d times %q in:\n%s", times, text, o.String())
		}
		time.Sleep(time.Millisecond)
	}
}

func shell(log *Log, name, script string) Part {
	return Part{name, servers.NewProcess(servers.Spec{Name: name, Path: "/bin/sh", Args: []string{"-c", script}, Output: log.Part(name)})}
}

func supervise(t *testing.T, names ...string) (*Supervisor, *Log, *transcript) {
	t.Helper()
	out := new(transcript)
	log := NewLog(out, false, names...)
	s := NewSupervisor(log, quick)
	t.Cleanup(func() {
		if err := s.Stop(context.Background(), 5*time.Second); err != nil {
			t.Error(err)
		}
	})
	return s, log, out
}

func TestAKilledPartIsStartedAgainAndTheLogSaysSo(t *testing.T) {
	s, log, out := supervise(t, "sleeper")
	part := shell(log, "sleeper", "echo up; exec sleep 600")
	if err := s.Start(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	out.await(t, "sleeper | up", 1)
	first := part.Program.PID()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	out.await(t, "petvote | sleeper died (signal: killed), starting again in 5ms", 1)
	out.await(t, "sleeper | up", 2)
	out.await(t, "runs again", 1)
	if part.Program.PID() == first {
		t.Error("it has the same process id")
	}
}

func TestAPartThatKeepsDyingWaitsLongerEachTimeUpToALimit(t *testing.T) {
	s, log, out := supervise(t, "faulty")
	if err := s.Start(t.Context(), shell(log, "faulty", "exit 3")); err != nil {
		t.Fatal(err)
	}
	for _, wait := range []string{"5ms", "10ms", "20ms", "40ms"} {
		out.await(t, "faulty died (exit status 3), starting again in "+wait, 1)
	}
	out.await(t, "starting again in 40ms", 3)
}

func TestAPartThatRanForAWhileStartsAgainAtOnce(t *testing.T) {
	out := new(transcript)
	log := NewLog(out, false, "mortal")
	s := NewSupervisor(log, Backoff{First: time.Millisecond, Most: time.Hour, Healthy: 20 * time.Millisecond})
	if err := s.Start(t.Context(), shell(log, "mortal", "exec sleep 0.03")); err != nil {
		t.Fatal(err)
	}
	out.await(t, "mortal died (exit status 0), starting again in 1ms", 5)
	if err := s.Stop(t.Context(), time.Second); err != nil {
		t.Error(err)
	}
	if strings.Contains(out.String(), "in 2ms") {
		t.Errorf("the wait grew:\n%s", out)
	}
}

func TestAPartThatCanNotStartTheFirstTimeIsAnError(t *testing.T) {
	s, _, _ := supervise(t)
	part := Part{"absent", servers.NewProcess(servers.Spec{Name: "absent", Path: "/does/not/exist"})}
	if err := s.Start(t.Context(), part); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("got %v", err)
	}
}

func TestStopGoesInReverseOrderOneAfterTheOther(t *testing.T) {
	record := filepath.Join(t.TempDir(), "ends")
	out := new(transcript)
	names := []string{"redis", "worker", "vote"}
	log := NewLog(out, false, names...)
	s := NewSupervisor(log, quick)
	for _, name := range names {
		// Each takes a moment to end, so that two that end at the same time would show.
		script := fmt.Sprintf(`trap 'echo %[1]s begins >>%[2]s; sleep 0.05; echo %[1]s ends >>%[2]s; exit' TERM; echo up; while :; do sleep 0.01; done`, name, record)
		if err := s.Start(t.Context(), shell(log, name, script)); err != nil {
			t.Fatal(err)
		}
		out.await(t, fmt.Sprintf("%-7s | up", name), 1)
	}
	if err := s.Stop(t.Context(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	want := "vote begins\nvote ends\nworker begins\nworker ends\nredis begins\nredis ends\n"
	if string(got) != want {
		t.Errorf("order of ends:\n%swant:\n%s", got, want)
	}
	if strings.Contains(out.String(), "died") {
		t.Errorf("a part that was stopped counts as dead:\n%s", out)
	}
}

func TestStopKillsAtOnceWhenToldSo(t *testing.T) {
	out := new(transcript)
	log := NewLog(out, false, "stubborn")
	s := NewSupervisor(log, quick)
	part := shell(log, "stubborn", `trap "" TERM; echo up; while :; do sleep 0.01; done`)
	if err := s.Start(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	out.await(t, "stubborn | up", 1)
	kill, killNow := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(kill, time.Minute) }()
	killNow()
	select {
	case err := <-stopped:
		if err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("got %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("not killed")
	}
	select {
	case <-part.Program.Done():
	default:
		t.Error("it runs on")
	}
}
