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

	"go.uber.org/goleak"

	"petvote/infra/servers"
	"petvote/infra/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick keeps the shape of the real backoff and takes less time.
var quick = backoff{first: 5 * time.Millisecond, most: 40 * time.Millisecond, healthy: time.Hour}

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
	testenv.Eventually(t, func() error {
		if strings.Count(o.String(), text) < times {
			return fmt.Errorf("not %d times %q in:\n%s", times, text, o)
		}
		return nil
	})
}

// supervise starts a shell script for each name, in order, and stops them with the test. A script says that it is up.
func supervise(t *testing.T, backoff backoff, script string, names ...string) (*supervisor, *transcript) {
	t.Helper()
	out := new(transcript)
	s := &supervisor{log: newLog(out), backoff: backoff}
	t.Cleanup(func() {
		if err := s.stop(context.Background(), 10*time.Second); err != nil {
			t.Error(err)
		}
	})
	for _, name := range names {
		spec := servers.Spec{Name: name, Path: "/bin/sh", Args: []string{"-c", script, name}, Output: s.log.part(name)}
		testenv.Must(t, s.start(t.Context(), servers.NewProcess(spec)))
		out.await(t, fmt.Sprintf("%-8s | up", name), 1)
	}
	return s, out
}

func TestAKilledPartIsStartedAgainAndTheLogSaysSo(t *testing.T) {
	s, out := supervise(t, quick, "echo up; exec sleep 600", "sleeper")
	sleeper := s.keepers[0]
	first := sleeper.PID()
	testenv.Must(t, syscall.Kill(first, syscall.SIGKILL))
	out.await(t, "petvote  | sleeper died (signal: killed), starting again in 5ms", 1)
	out.await(t, "sleeper  | up", 2)
	out.await(t, "runs again", 1)
	if sleeper.PID() == first {
		t.Error("it has the same process id")
	}
}

func TestAPartThatKeepsDyingWaitsLongerEachTimeUpToALimit(t *testing.T) {
	_, out := supervise(t, quick, "echo up; exit 3", "faulty")
	for _, pause := range []string{"5ms", "10ms", "20ms", "40ms"} {
		out.await(t, "faulty died (exit status 3), starting again in "+pause, 1)
	}
	out.await(t, "starting again in 40ms", 3)
}

func TestAPartThatRanForAWhileStartsAgainAtOnce(t *testing.T) {
	_, out := supervise(t, backoff{first: time.Millisecond, most: time.Hour, healthy: 20 * time.Millisecond},
		"echo up; exec sleep 0.03", "mortal")
	out.await(t, "mortal died (exit status 0), starting again in 1ms", 5)
	if strings.Contains(out.String(), "in 2ms") {
		t.Errorf("the pause grew:\n%s", out)
	}
}

func TestAPartThatCanNotStartTheFirstTimeIsAnError(t *testing.T) {
	s := &supervisor{log: newLog(new(transcript))}
	err := s.start(t.Context(), servers.NewProcess(servers.Spec{Name: "absent", Path: "/does/not/exist"}))
	if err == nil || !strings.Contains(err.Error(), "absent") || len(s.keepers) > 0 {
		t.Errorf("got %v", err)
	}
}

func TestStopGoesInReverseOrderOneAfterTheOther(t *testing.T) {
	record := filepath.Join(t.TempDir(), "ends")
	// Each takes a moment to end, so that two that end at the same time would show.
	script := fmt.Sprintf("trap 'echo $0 begins >>%[1]s; sleep 0.05; echo $0 ends >>%[1]s; exit' TERM; "+
		"echo up; while :; do sleep 0.01; done", record)
	s, out := supervise(t, quick, script, "redis", "worker", "vote")
	testenv.Must(t, s.stop(t.Context(), 10*time.Second))
	got, err := os.ReadFile(record)
	testenv.Must(t, err)
	want := "vote begins\nvote ends\nworker begins\nworker ends\nredis begins\nredis ends\n"
	if string(got) != want {
		t.Errorf("order of ends:\n%swant:\n%s", got, want)
	}
	if strings.Contains(out.String(), "died") {
		t.Errorf("a part that was stopped counts as dead:\n%s", out)
	}
}

func TestStopKillsAtOnceWhenItsContextEnds(t *testing.T) {
	s, _ := supervise(t, quick, `trap "" TERM; echo up; while :; do sleep 0.01; done`, "stubborn")
	stubborn := s.keepers[0]
	kill, killNow := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, killNow)
	if err := s.stop(kill, time.Hour); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got %v", err)
	}
	if stubborn.Running() {
		t.Error("it runs on")
	}
}
