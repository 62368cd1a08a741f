package main

import (
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for _, pair := range pairs {
			if key, value, _ := strings.Cut(pair, "="); key == name {
				return value
			}
		}
		return ""
	}
}

func TestAFlagWinsOverTheEnvironmentAndTheEnvironmentOverTheDefault(t *testing.T) {
	o, err := parse([]string{"--local", "--vote-port", "1111", "--data", "/data"}, environment("VOTE_PORT=2222", "RESULT_PORT=3333"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.mode != modeLocal || o.folder != "/data" || o.ports.Vote.Number != 1111 || o.ports.Result.Number != 3333 || o.ports.Redis.Number != 16379 {
		t.Errorf("got %+v, ports %+v", o, o.ports)
	}
	if want := []string{"VOTE_PORT=1111", "RESULT_PORT=3333"}; !slices.Equal(o.set, want) {
		t.Errorf("for Compose: %q, want %q", o.set, want)
	}
}

func TestModes(t *testing.T) {
	for args, want := range map[string]mode{"": modeAny, "--docker": modeDocker, "--local": modeLocal, "--data /data": modeLocal} {
		o, err := parse(strings.Fields(args), environment("HOME=/home/me"), io.Discard)
		if err != nil || o.mode != want {
			t.Errorf("%q: mode %v, %v; want %v", args, o.mode, err, want)
		}
	}
}

func TestBadArgumentsAreRefusedByName(t *testing.T) {
	for args, want := range map[string]string{
		"--docker --local":     "exclude each other",
		"--docker --data /tmp": "--data",
		"--vote-port 0":        "--vote-port 0",
		"--redis-port 70000":   "--redis-port 70000",
		"start":                `"start"`,
		"--fast":               "-fast",
	} {
		_, err := parse(strings.Fields(args), environment(), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want a message with %q", args, err, want)
		}
	}
}

func TestHelpNamesEveryFlagAndVariable(t *testing.T) {
	var help strings.Builder
	if _, err := parse([]string{"--help"}, environment(), &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{"--docker", "--local", "-data", "-vote-port", "RESULT_OPS_PORT"} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
}
