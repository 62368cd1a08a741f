package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTheWorkersSettingsHaveDefaults(t *testing.T) {
	cfg, err := load(nil)
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Lanes != 2 || cfg.BatchSize != 2000 || time.Duration(cfg.ClaimIdle) != 10*time.Second || cfg.MaxTries != 20 || cfg.CrashAt != crashNever {
		t.Errorf("settings %+v", cfg)
	}
	if want := fmt.Sprintf("%s-%d", host, os.Getpid()); cfg.ConsumerName != want {
		t.Errorf("consumer %q, want %q, which no other worker has", cfg.ConsumerName, want)
	}
}

func TestTheWorkersSettingsAreTakenFromTheEnvironment(t *testing.T) {
	cfg, err := load([]string{"LANES=1", "BATCH_SIZE=1", "CLAIM_IDLE=1s", "MAX_TRIES=1", "CONSUMER_NAME=worker-1",
		"CRASH_AT=after-commit", "CRASH_AFTER=3"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Lanes != 1 || cfg.BatchSize != 1 || time.Duration(cfg.ClaimIdle) != time.Second || cfg.MaxTries != 1 ||
		cfg.ConsumerName != "worker-1" || cfg.CrashAt != crashAfterCommit || cfg.CrashAfter != 3 {
		t.Errorf("settings %+v", cfg)
	}
}

func TestEverySettingThatMakesNoWorkerIsNamedAtOnce(t *testing.T) {
	_, err := load([]string{"LANES=0", "BATCH_SIZE=0", "CLAIM_IDLE=999ms", "MAX_TRIES=0", "CRASH_AT=lunch", "OPS_PORT=70000"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`LANES="0": `, `BATCH_SIZE="0": `, `CLAIM_IDLE="999ms": `, `MAX_TRIES="0": `, `CRASH_AT="lunch": `, `OPS_PORT="70000": `} {
		if !strings.Contains(err.Error(), "\n  "+want) {
			t.Errorf("no line for %s in: %v", want, err)
		}
	}
	for _, bad := range []string{"LANES=65", "LANES=-1", "BATCH_SIZE=65536", "BATCH_SIZE=many", "CLAIM_IDLE=10", "CLAIM_IDLE=-10s", "MAX_TRIES=65536"} {
		name, _, _ := strings.Cut(bad, "=")
		if _, err := load([]string{bad}); err == nil || !strings.Contains(err.Error(), name+"=") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
