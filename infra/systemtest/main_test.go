package systemtest

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"testing"

	"go.uber.org/goleak"

	"petvote/infra/platform"
	"petvote/infra/testenv"
)

// bin is the folder of the services' programs, built with the race detector.
var bin string

// essential are the tests that -short keeps: one for each promise and each part.
var essential = regexp.MustCompile(`^Test(TheAnswersToAVote|TheReadingSide|TheBooksBalance|OneVoteIsOneTrace` +
	`|WithoutRedis|AWorkerThatDies|AStopUnderLoad|BrowserAVoteMovesTheBar|SocketIOTheOfficialClient|EveryRuleIsAbout)`)

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
	// Where a client closes a connection that toxiproxy slows down, its link goes on waiting for somebody to read.
	const toxiproxy = "github.com/Shopify/toxiproxy/v2"
	return testenv.Main(m, goleak.IgnoreAnyFunction(toxiproxy+".(*ToxicLink).read"),
		goleak.IgnoreAnyFunction(toxiproxy+"/toxics.(*ToxicStub).Run"))
}
