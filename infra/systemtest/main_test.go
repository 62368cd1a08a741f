package systemtest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"petvote/infra/platform"
	"petvote/infra/testenv"
)

// bin is the folder of the services' programs, built with the race detector.
var bin string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "petvote-bin-")
	if err == nil {
		defer os.RemoveAll(dir)
		bin, err = platform.Programs(context.Background(), "../..", dir, "-race")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return testenv.Main(m)
}
