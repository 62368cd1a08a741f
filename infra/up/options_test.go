package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"petvote/infra/testenv"
)

type environment map[string]string

func (e environment) get(name string) string { return e[name] }

func TestAFlagWinsOverTheEnvironmentAndTheEnvironmentOverTheDefault(t *testing.T) {
	args := []string{"--local", "--vote-port", "1111", "--data", "/data"}
	o, _, ok := parse(args, environment{"VOTE_PORT": "2222", "RESULT_PORT": "3333"}.get, io.Discard)
	if !ok || o.mode != modeLocal || o.folder != "/data" ||
		o.ports.Vote != 1111 || o.ports.Result != 3333 || o.ports.Redis != 16379 {
		t.Errorf("got %+v", o)
	}
	if want := []string{"VOTE_PORT=1111", "RESULT_PORT=3333"}; !slices.Equal(o.set, want) {
		t.Errorf("for Compose: %q, want %q", o.set, want)
	}
}

func TestASecondQueueTakesTheNextPortAndSetsComposesVariable(t *testing.T) {
	o, _, ok := parse([]string{"--queues", "2", "--redis-port", "7000", "--data", "/data"}, environment{}.get, io.Discard)
	if !ok || o.queues != 2 || !slices.Equal(o.set, []string{"REDIS_PORT=7000", "TWO_QUEUES=1"}) ||
		!slices.ContainsFunc(o.wanted, func(p *port) bool { return *p.number == 7001 }) {
		t.Errorf("got %+v", o)
	}
}

func TestAQueueThatMayHoldVotesIsNotDropped(t *testing.T) {
	o := &options{folder: testenv.NewFolder(t), queues: 1}
	second := filepath.Join(o.folder, "redis2")
	testenv.Must(t, os.Mkdir(second, 0o755))
	err := runLocal(t.Context(), t.Context(), "", o)
	if err == nil || !strings.Contains(err.Error(), second+", perhaps with votes: --queues 2 stores them") {
		t.Errorf("%v", err)
	}
}

func TestModes(t *testing.T) {
	for args, want := range map[string]mode{
		"": modeAny, "--docker": modeDocker, "--local": modeLocal, "--data /data": modeLocal,
	} {
		o, _, ok := parse(strings.Fields(args), environment{"HOME": "/home/me"}.get, io.Discard)
		if !ok || o.mode != want {
			t.Errorf("%q: %+v; want mode %v", args, o, want)
		}
	}
}

func TestBadArgumentsAndVariablesAreRefusedByNameAndHelpNamesAll(t *testing.T) {
	variables := environment{"RESULT_PORT": "9000", "WORKER_OPS_PORT": "tcp://10.0.0.1:6379", "VOTE_OPS_PORT": "0"}
	for _, c := range []struct {
		args   string
		set    environment
		status int
		says   []string
	}{
		{"--docker --local", nil, 2, []string{"exclude each other"}},
		{"--docker --data /tmp", nil, 2, []string{"--data"}},
		{"--vote-port 0", nil, 2, []string{"--vote-port=0: want a port from 1 to 65535"}},
		{"--data=", nil, 2, []string{"--data"}},
		{"--queues 3", nil, 2, []string{"--queues: want 1 or 2"}},
		{"--redis-port 70000", nil, 2, []string{"--redis-port=70000: "}},
		{"start", nil, 2, []string{`"start"`}},
		{"--fast", nil, 2, []string{"-fast"}},
		{"", variables, 2, []string{`up: VOTE_OPS_PORT="0": `, "\n" + `WORKER_OPS_PORT="tcp://10.0.0.1:6379": `}},
		{"--help", nil, 0, []string{"--docker", "--local", "-data", "-vote-port", "RESULT_OPS_PORT", "16379"}},
	} {
		var said strings.Builder
		_, status, ok := parse(strings.Fields(c.args), c.set.get, &said)
		missing := slices.DeleteFunc(c.says, func(text string) bool { return strings.Contains(said.String(), text) })
		if ok || status != c.status || len(missing) > 0 || c.args == "" && strings.Contains(said.String(), "RESULT_PORT") {
			t.Errorf("%q: status %d, %q is missing in\n%s", c.args, status, missing, &said)
		}
	}
}
