//go:build containers

package containertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"petvote/infra/ledger"
	"petvote/infra/testenv"
)

// One variable adds a second queue, which takes the votes while the first is dead. The steps of services/README.md
// remove it again.
func TestASecondQueueByOneVariableAndNoVoteIsRefusedWithoutTheFirst(t *testing.T) {
	ctx := within(t, 6*time.Minute)
	two := *platform
	two.env = append(slices.Clone(platform.env), "TWO_QUEUES=1")
	compose := func(s *stack, args ...string) string {
		t.Helper()
		out, err := s.docker(ctx, s.compose(args...)...)
		testenv.Must(t, err)
		return out
	}
	queues := func(want string) {
		t.Helper()
		for _, name := range []string{"vote-1", "worker-1", "result-1"} {
			if c := inspect(ctx, t)[name]; !slices.Contains(c.Config.Env, "REDIS_HOST="+want) {
				t.Errorf("%s is not given %s: %q", name, want, c.Config.Env)
			}
		}
	}
	scale := fmt.Sprint("worker=", workers)
	queues("redis")
	t.Cleanup(func() {
		if t.Failed() { // the tests that follow expect one queue
			t.Log(two.logs())
			testenv.Must(t, errors.Join(platform.down(), platform.up(running)))
		}
	})
	compose(&two, "up", "--detach", "--wait", "--scale", scale, "vote", "result", "worker", "redis2",
		"redis2-exporter", "prometheus")
	queues("redis,redis2")
	for _, name := range []string{"redis2-1", "redis2-exporter-1"} {
		t.Run(name, func(t *testing.T) { confined(ctx, t, name, inspect(ctx, t)[name]) })
	}
	eventually(ctx, t, func() error {
		var answer struct{ Result []struct{ Value [2]any } }
		err := data(ctx, platform.prometheus+"/api/v1/query?query="+
			url.QueryEscape(`redis_up{instance="redis2-exporter:9121"}`), &answer)
		if r := answer.Result; err == nil && (len(r) != 1 || r[0].Value[1] != "1") {
			err = fmt.Errorf("the second exporter: %+v", r)
		}
		return err
	})

	report := t.TempDir()
	out, err := chaos(ctx, t, buildChaos(ctx, t), t.TempDir(), "-rate", "100", "-report", report, "-queues", "2",
		"-scenario", "kill-redis,cut-one-redis,fill-one-redis").CombinedOutput()
	t.Logf("%s", out)
	if !proved(err) {
		t.Error(err)
	}
	var r struct {
		Scenarios []struct {
			Name     string
			Proof    struct{ Sent, Accepted int }
			Episodes []struct{ Service, What string }
		}
	}
	text, err := os.ReadFile(filepath.Join(report, "report.json"))
	testenv.Must(t, errors.Join(err, json.Unmarshal(text, &r)))
	for _, s := range r.Scenarios {
		other := map[bool]string{true: "calls redis-1", false: "calls redis-0"}[s.Name == "kill-redis"]
		failed := false // by a busy machine
		for _, e := range s.Episodes {
			failed = failed || e.Service == "vote" && e.What == other
		}
		if p := s.Proof; p.Accepted == 0 || p.Accepted < p.Sent && !failed {
			t.Errorf("%s: %+v, while the other Redis worked", s.Name, p)
		}
	}
	if len(r.Scenarios) != 3 {
		t.Errorf("%d scenarios", len(r.Scenarios))
	}

	compose(platform, "up", "--detach", "--wait", "--no-deps", "vote")
	testenv.Must(t, ledger.Drain(ctx, store))
	if n, err := store.Redis(ctx, "redis2", "XLEN", "votes"); n != "0" {
		t.Errorf("%s votes are in the second queue, %v", n, err)
	}
	compose(platform, "up", "--detach", "--wait", "--scale", scale, "vote", "result", "worker", "redis2",
		"redis2-exporter", "prometheus") // ends the second queue's
	queues("redis")
	votes := platform.vote(ctx, t)
	eventually(ctx, t, func() error {
		if n := votes.ledger.Count(ledger.Accepted); n < 2*votesPerSecond {
			return fmt.Errorf("%d votes are accepted", n)
		}
		return nil
	})
	votes.audit(ctx, platform)
	if refused := votes.ledger.Count(ledger.Refused); refused > 0 {
		t.Errorf("%d votes were refused without the second queue", refused)
	}
	if n := len(inspect(ctx, t)); n != 9+workers {
		t.Errorf("%d containers are left", n)
	}
}
