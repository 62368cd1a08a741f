package systemtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// npmPackages gives the folder in which the packages are installed that testdata/<name> pins. It is kept for the next
// time, in the user's cache. npm is no requirement of petvote, so the test skips where there is none.
func npmPackages(t testing.TB, name string) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not tried: %s is not installed", name, program)
		}
	}
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	lock, err := os.ReadFile(filepath.Join("testdata", name, "package-lock.json"))
	must(err)
	manifest, err := os.ReadFile(filepath.Join("testdata", name, "package.json"))
	must(err)
	cache, err := os.UserCacheDir()
	must(err)
	cache = filepath.Join(cache, "petvote")
	folder := filepath.Join(cache, fmt.Sprintf("%s-%x", name, sha256.Sum256(lock))[:32])
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	// Another test program may be at it as well: each installs for itself, and the first to be done wins.
	must(os.MkdirAll(cache, 0o755))
	draft, err := os.MkdirTemp(cache, "draft-")
	must(err)
	defer os.RemoveAll(draft)
	must(os.WriteFile(filepath.Join(draft, "package-lock.json"), lock, 0o644))
	must(os.WriteFile(filepath.Join(draft, "package.json"), manifest, 0o644))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = draft
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.Rename(draft, folder); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	return folder
}
