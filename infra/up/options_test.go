package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	args := []string{"--local", "--vote-port", "1111", "--data", "/data"}
	o, err := parse(args, environment("VOTE_PORT=2222", "RESULT_PORT=3333"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.mode != modeLocal || o.folder != "/data" ||
		o.ports.Vote != 1111 || o.ports.Result != 3333 || o.ports.Redis != 16379 {
		t.Errorf("got %+v", o)
	}
	if want := []string{"VOTE_PORT=1111", "RESULT_PORT=3333"}; !slices.Equal(o.set, want) {
		t.Errorf("for Compose: %q, want %q", o.set, want)
	}
}

func TestModes(t *testing.T) {
	for args, want := range map[string]mode{
		"": modeAny, "--docker": modeDocker, "--local": modeLocal, "--data /data": modeLocal,
	} {
		o, err := parse(strings.Fields(args), environment("HOME=/home/me"), io.Discard)
		if err != nil || o.mode != want {
			t.Errorf("%q: %+v, %v; want mode %v", args, o, err, want)
		}
	}
}

func TestBadArgumentsAndVariablesAreRefusedByName(t *testing.T) {
	for args, want := range map[string]string{
		"--docker --local":     "exclude each other",
		"--docker --data /tmp": "--data",
		"--vote-port 0":        `"0" for flag -vote-port`,
		"--redis-port 70000":   `"70000" for flag -redis-port`,
		"start":                `"start"`,
		"--fast":               "-fast",
	} {
		_, err := parse(strings.Fields(args), environment(), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want a message with %q", args, err, want)
		}
	}
	_, err := parse(nil, environment("VOTE_PORT=9000", "REDIS_PORT=tcp://10.0.0.1:6379", "POSTGRES_PORT=0"), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "REDIS_PORT") || !strings.Contains(err.Error(), "POSTGRES_PORT") ||
		strings.Contains(err.Error(), "VOTE_PORT") {
		t.Errorf("bad variables: %v", err)
	}
}

func TestHelpNamesEveryFlagAndVariable(t *testing.T) {
	var help strings.Builder
	if _, err := parse([]string{"--help"}, environment(), &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{"--docker", "--local", "-data", "-vote-port", "RESULT_OPS_PORT", "16379"} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &help)
		}
	}
}

func TestASecondPlatformInTheSameFolderIsRefusedWithTheFirstOnesProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "data")
	first, err := lockFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockFolder(path)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s (process %d)", path, os.Getpid())) {
		t.Errorf("got %v", err)
	}
	_ = first.Close()
	again, err := lockFolder(path)
	if err != nil {
		t.Fatalf("after the first one's end: %v", err)
	}
	_ = again.Close()
}
