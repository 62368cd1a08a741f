package testenv

import (
	_ "embed"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

//go:embed testdata/clock.c
var clockSource []byte

// Clock is the wall clock of a program, which a test may step. The program's monotonic clock is not affected.
type Clock struct {
	t    testing.TB
	file string
	env  []string
}

// NewClock returns a clock that is right at first. It needs a C compiler, and Linux.
func NewClock(t testing.TB) *Clock {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the clock of a process can be stepped on Linux only")
	}
	if _, err := exec.LookPath("cc"); err != nil {
		Missing(t, "cc")
	}
	dir := NewFolder(t)
	source, library := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock.so")
	c := &Clock{t, filepath.Join(dir, "offset"), append(os.Environ(), "LD_PRELOAD="+library)}
	c.env = append(c.env, "CLOCK_OFFSET="+c.file)
	c.Step(0)
	err := os.WriteFile(source, clockSource, 0o600)
	if err == nil {
		err = os.Chmod(dir, 0o711) // servers run as other users
	}
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	out, err := exec.Command("cc", "-shared", "-fPIC", "-O", "-o", library, source, "-ldl").CombinedOutput()
	if err != nil {
		t.Fatalf("testenv: compile the clock: %v\n%s", err, out)
	}
	return c
}

// Env is the environment of a program that goes by the clock.
func (c *Clock) Env() []string { return c.env }

// Step sets how far the clock is ahead of the true one, in whole seconds.
func (c *Clock) Step(ahead time.Duration) {
	c.t.Helper()
	f, err := os.OpenFile(c.file, os.O_WRONLY|os.O_CREATE, 0o644)
	if err == nil { // in place, since the program has mapped the file
		_, err = f.Write(binary.NativeEndian.AppendUint64(nil, uint64(ahead/time.Second)))
		_ = f.Close()
	}
	if err != nil {
		c.t.Fatalf("testenv: step the clock: %v", err)
	}
}
