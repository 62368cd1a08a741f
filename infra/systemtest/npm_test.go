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

	"petvote/infra/testenv"
)

// npmPackages installs the packages that testdata/<name> pins, and returns their folder. The user's cache keeps it for
// the next run. npm is no requirement of petvote, so the test skips without it.
func npmPackages(t testing.TB, name string) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not tested: %s is not installed", name, program)
		}
	}
	source := filepath.Join("testdata", name)
	lock, err := os.ReadFile(filepath.Join(source, "package-lock.json"))
	testenv.Must(t, err)
	cache, err := os.UserCacheDir()
	testenv.Must(t, err)
	cache = filepath.Join(cache, "petvote")
	folder := filepath.Join(cache, fmt.Sprintf("%s-%x", name, sha256.Sum256(lock))[:32])
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	// Another test program may do the same: each installs for itself, and the first to finish wins.
	testenv.Must(t, os.MkdirAll(cache, 0o755))
	draft, err := os.MkdirTemp(cache, "draft-")
	testenv.Must(t, err)
	defer os.RemoveAll(draft)
	testenv.Must(t, os.CopyFS(draft, os.DirFS(source)))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = draft
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.Rename(draft, folder); !errors.Is(err, os.ErrExist) {
		testenv.Must(t, err)
	}
	return folder
}
