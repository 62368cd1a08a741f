package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"petvote/infra/servers"
)

// upRun is ./scripts/up --local, run by a test on free ports with a new data folder.
type upRun struct {
	*servers.Process
	t     *testing.T
	ports *Ports
	data  string

	mu  sync.Mutex
	log bytes.Buffer
}

func (p *upRun) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *upRun) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func startUp(t *testing.T) *upRun {
	t.Helper()
	data, err := os.MkdirTemp("", "petvote-test-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(data); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(data, 0o755); err != nil { // the servers run as users of their own
		t.Fatal(err)
	}
	p := &upRun{t: t, ports: DefaultPorts(), data: data}
	args := []string{"--local", "--data", data}
	for _, port := range p.ports.All() {
		if port.Number, err = servers.FreePort(); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--"+port.Flag(), strconv.Itoa(port.Number))
	}
	p.Process = servers.NewProcess(servers.Spec{
		Name: "up", Path: "../../scripts/up", Args: args, Output: p, StopSignal: syscall.SIGINT, OrphanSignal: syscall.SIGTERM,
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the platform's log:\n%s", p.text())
		}
		if err := p.Kill(); err != nil { // it has ended already, unless the test failed
			t.Error(err)
		}
	})
	p.eventually("ready", func() error {
		if !strings.Contains(p.text(), "petvote is ready") {
			return fmt.Errorf("no summary")
		}
		return nil
	})
	return p
}

// eventually asks until there is no error, or for two minutes.
func (p *upRun) eventually(what string, ask func() error) {
	p.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-p.Done():
			p.t.Fatalf("%s: the platform ended (%v)", what, p.Err())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: %v", what, err)
		}
	}
}

func (p *upRun) url(port Port, path string) string {
	return fmt.Sprintf("http://localhost:%d%s", port.Number, path)
}

// vote casts a vote as the page does: with one key, until it is accepted.
func (p *upRun) vote() {
	p.t.Helper()
	key := uuid.NewString()
	p.eventually("vote", func() error {
		request, err := http.NewRequest(http.MethodPost, p.url(p.ports.Vote, "/vote"), strings.NewReader(`{"pet":"lizards"}`))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", response.Status)
		}
		return nil
	})
}

func (p *upRun) total() (int, error) {
	response, err := http.Get(p.url(p.ports.Result, "/api/tally"))
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	var tally struct{ Total int }
	if err := json.Unmarshal(body, &tally); err != nil {
		return 0, fmt.Errorf("%w: %s", err, body)
	}
	return tally.Total, nil
}

// killPart ends a part with SIGKILL by the newest process id that the log tells, as a person would.
func (p *upRun) killPart(part string) {
	p.t.Helper()
	told := regexp.MustCompile(`(?m)(?:processes .*|\| )\b`+part+` (?:runs again \(pid )?(\d+)`).FindAllStringSubmatch(p.text(), -1)
	if len(told) == 0 {
		p.t.Fatalf("no process id of %s in the log", part)
	}
	pid, err := strconv.Atoi(told[len(told)-1][1])
	if err != nil {
		p.t.Fatal(err)
	}
	again := strings.Count(p.text(), part+" runs again")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		p.t.Fatalf("kill %s: %v", part, err)
	}
	p.eventually(part+" back", func() error {
		if strings.Count(p.text(), part+" runs again") == again {
			return fmt.Errorf("not yet")
		}
		return nil
	})
}

func TestEveryPartComesBackWhenKilledAndNoVoteIsLost(t *testing.T) {
	p := startUp(t)
	defer http.DefaultClient.CloseIdleConnections()
	votes := 0
	for _, part := range []string{"redis", "postgres", "worker", "result", "vote", "redis"} {
		p.vote()
		p.killPart(part)
		p.vote()
		votes += 2
	}
	p.eventually("all votes counted", func() error {
		if total, err := p.total(); err != nil || total != votes {
			return fmt.Errorf("total %d (%v), want %d", total, err, votes)
		}
		return nil
	})

	second, err := exec.Command("../../scripts/up", "--local", "--data", p.data).CombinedOutput()
	if err == nil || !strings.Contains(string(second), fmt.Sprintf("process %d", p.PID())) {
		t.Errorf("a second one in the same folder: %v\n%s", err, second)
	}

	if err := p.Stop(t.Context()); err != nil || p.Err() != nil {
		t.Errorf("stop: %v, it ended with %v", err, p.Err())
	}
	ends := regexp.MustCompile(`(?m)^petvote  \| (\w+) stopped$`).FindAllStringSubmatch(p.text(), -1)
	var order []string
	for _, end := range ends {
		order = append(order, end[1])
	}
	if got := strings.Join(order, " "); got != "vote worker result postgres redis" {
		t.Errorf("stopped in the order %q", got)
	}
	out, err := exec.Command("ps", "-A", "-o", "args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	if left := strings.Count(string(out), filepath.Base(p.data)); left > 0 {
		t.Errorf("%d processes are left:\n%s", left, out)
	}
}
