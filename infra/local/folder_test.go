package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASecondPlatformInTheSameFolderIsToldWhoHasIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "data")
	first, err := takeFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = takeFolder(path)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	again, err := takeFolder(path)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	if err := again.release(); err != nil {
		t.Error(err)
	}
}

func TestServicesGetTheUsersEnvironmentButNoOtherServers(t *testing.T) {
	cfg := Config{Ports: DefaultPorts(), Environ: []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318", "LOG_LEVEL=debug",
		"DATABASE_URL=postgres://production", "REDIS_URL=redis://production", "REDIS_HOST=production", "POSTGRES_PASSWORD_FILE=/secret",
	}}
	got := strings.Join(environment(cfg), "\n")
	for _, want := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318", "LOG_LEVEL=debug", "LOG_FORMAT=text",
		"REDIS_HOST=127.0.0.1", "REDIS_PORT=16379", "POSTGRES_PORT=15432", "VOTE_URL=http://localhost:8084"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(got, "production") || strings.Contains(got, "/secret") {
		t.Errorf("another server's address gets through:\n%s", got)
	}
}
