package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/infra/voters"
	"petvote/infra/wait"
	"petvote/shared/ballot"
)

// upRun is ./scripts/up --local, run by a test on free ports with a new data folder.
type upRun struct {
	*servers.Process
	transcript
	t     *testing.T
	ports platform.Ports
	data  string
}

func startUp(t *testing.T) *upRun {
	t.Helper()
	p := &upRun{t: t, data: testenv.NewFolder(t)}
	testenv.Must(t, os.Chmod(p.data, 0o755)) // the servers run as users of their own
	args := []string{"--local", "--data", p.data}
	for _, port := range localPorts(&p.ports) {
		number, err := servers.FreePort()
		testenv.Must(t, err)
		*port.number = number
		args = append(args, "--"+port.flag(), strconv.Itoa(number))
	}
	p.Process = servers.NewProcess(servers.Spec{
		Name: "up", Path: "../../scripts/up", Args: args, Output: &p.transcript,
		StopSignal: syscall.SIGINT, OrphanSignal: syscall.SIGTERM,
	})
	testenv.Must(t, p.Start(t.Context()))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the platform's log:\n%s", &p.transcript)
		}
		if err := p.Kill(); err != nil { // it has ended already, unless the test failed
			t.Error(err)
		}
	})
	p.eventually("ready", func(context.Context) error {
		if !strings.Contains(p.String(), "petvote is ready") {
			return errors.New("no summary")
		}
		return nil
	})
	return p
}

// eventually checks until there is no error, for five minutes at most: the first check waits for the build of the
// services.
func (p *upRun) eventually(what string, check func(context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	err := wait.Until(ctx, 5*time.Minute, func(ctx context.Context) error {
		if !p.Running() {
			cancel()
		}
		return check(ctx)
	})
	if err != nil {
		p.t.Fatalf("%s: %v (the platform runs: %v)", what, err, p.Running())
	}
}

// vote casts a vote as the page does: with one key, until it is accepted.
func (p *upRun) vote() {
	p.t.Helper()
	client := voters.NewClient(localURL(p.ports.Vote, "/vote"), time.Now(), 0)
	defer client.Close()
	key := uuid.New()
	p.eventually("vote", func(ctx context.Context) error {
		if a := client.Cast(ctx, key, ballot.Lizards); a.Status != ledger.Accepted {
			return fmt.Errorf("%+v", a)
		}
		return nil
	})
}

// killPart ends a part with SIGKILL, by its newest process id in the log.
func (p *upRun) killPart(part string) {
	p.t.Helper()
	log := p.String()
	pids := regexp.MustCompile(`(?:processes .*|\| )\b`+part+` (?:runs again \(pid )?(\d+)`).FindAllStringSubmatch(log, -1)
	if len(pids) == 0 {
		p.t.Fatalf("no process id of %s in the log", part)
	}
	pid, err := strconv.Atoi(pids[len(pids)-1][1])
	if err != nil {
		p.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		p.t.Fatalf("kill %s: %v", part, err)
	}
	p.await(p.t, part+" runs again", strings.Count(log, part+" runs again")+1)
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
	p.eventually("all votes counted", func(ctx context.Context) error {
		var tally struct{ Total int }
		err := platform.Get(ctx, localURL(p.ports.Result, "/api/tally"), &tally)
		if err == nil && tally.Total != votes {
			err = fmt.Errorf("total %d, want %d", tally.Total, votes)
		}
		return err
	})

	second, err := exec.Command("../../scripts/up", "--local", "--data", p.data).CombinedOutput()
	if err == nil || !strings.Contains(string(second), fmt.Sprintf("process %d", p.PID())) {
		t.Errorf("a second one in the same folder: %v\n%s", err, second)
	}

	if err := p.Stop(t.Context()); err != nil || p.Err() != nil {
		t.Errorf("stop: %v, it ended with %v", err, p.Err())
	}
	ends := regexp.MustCompile(`\w+ stopped`).FindAllString(p.String(), -1)
	if got := strings.Join(ends, ", "); got !=
		"vote stopped, worker stopped, result stopped, postgres stopped, redis stopped" {
		t.Errorf("order of the ends: %s", got)
	}
	out, err := exec.Command("ps", "-A", "-o", "args=").Output()
	testenv.Must(t, err)
	if left := strings.Count(string(out), p.data); left > 0 {
		t.Errorf("%d processes are left:\n%s", left, out)
	}
}
