package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"petvote/infra/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func TestTheWorkersSettingsHaveDefaults(t *testing.T) {
	cfg, err := load(nil)
	testenv.Must(t, err)
	host, err := os.Hostname()
	testenv.Must(t, err)
	if cfg.Concurrency != 2 || cfg.BatchSize != 2000 || time.Duration(cfg.ClaimIdle) != 10*time.Second ||
		cfg.MaxTries != 20 || cfg.QueueTraces != "continue" || cfg.CrashAt != crashNever {
		t.Errorf("settings %+v", cfg)
	}
	if want := fmt.Sprintf("%s-%d", host, os.Getpid()); cfg.ConsumerName != want {
		t.Errorf("consumer %q, want %q, which no other worker has", cfg.ConsumerName, want)
	}
}

func TestTheWorkersSettingsAreReadFromTheEnvironment(t *testing.T) {
	cfg, err := load([]string{"CONCURRENCY=1", "BATCH_SIZE=1", "CLAIM_IDLE=1s", "MAX_TRIES=1", "CONSUMER_NAME=worker-1",
		"QUEUE_TRACES=link", "CRASH_AT=after-commit", "CRASH_AFTER=3"})
	testenv.Must(t, err)
	if cfg.Concurrency != 1 || cfg.BatchSize != 1 || time.Duration(cfg.ClaimIdle) != time.Second || cfg.MaxTries != 1 ||
		cfg.ConsumerName != "worker-1" || cfg.QueueTraces != "link" ||
		cfg.CrashAt != crashAfterCommit || cfg.CrashAfter != 3 {
		t.Errorf("settings %+v", cfg)
	}
}

func TestLanesIsTheFormerNameOfConcurrency(t *testing.T) {
	for want, environ := range map[int][]string{3: {"LANES=3"}, 4: {"CONCURRENCY=4", "LANES=3"}} {
		if cfg, err := load(environ); err != nil || int(cfg.Concurrency) != want {
			t.Errorf("%q: concurrency %d, %v; want %d", environ, cfg.Concurrency, err, want)
		}
	}
}

func TestEveryBadSettingIsNamed(t *testing.T) {
	for _, bad := range [][]string{
		{"CONCURRENCY=0", "LANES=0", "BATCH_SIZE=0", "CLAIM_IDLE=999ms", "MAX_TRIES=0", "QUEUE_TRACES=Link",
			"CRASH_AT=lunch"},
		{"CONCURRENCY=65"}, {"LANES=65"}, {"BATCH_SIZE=65536"}, {"CLAIM_IDLE=10"}, {"CLAIM_IDLE=-10s"},
		{"CLAIM_IDLE=61m"}, {"MAX_TRIES=many"},
	} {
		_, err := load(bad)
		for _, variable := range bad {
			name, value, _ := strings.Cut(variable, "=")
			if want := fmt.Sprintf("\n  %s=%q: ", name, value); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no line for %s in: %v", variable, err)
			}
		}
	}
}
