package main

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
