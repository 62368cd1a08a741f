//go:build containers

package containertest

import (
	"context"
	"testing"
	"time"

	"petvote/infra/containers"
	"petvote/infra/ledger"
	"petvote/infra/testenv"
	"petvote/infra/voters"
)

const votesPerSecond = 100

// store is the Redis and the PostgreSQL of the stack, asked without the services.
const store = containers.Project(project)

// election holds the votes that come in while a test breaks something, for the proof that follows.
type election struct {
	*voters.Voters
	t      *testing.T
	ledger *ledger.Ledger
	before ledger.Standings
}

// vote starts an election. Each vote is sent again until it is accepted or ctx ends.
func (s *stack) vote(ctx context.Context, t *testing.T) *election {
	t.Helper()
	before, err := ledger.Steady(ctx, store)
	testenv.Must(t, err)
	e := &election{t: t, ledger: ledger.New(nil), before: before}
	e.Voters = voters.Start(ctx, voters.Options{
		URL: s.votes + "/vote", Rate: votesPerSecond, Retry: true, Start: e.ledger.Began, Record: e.ledger.Add,
	})
	t.Cleanup(e.Stop)
	return e
}

// audit ends the election and proves that every vote is accepted in the end, and counted once.
func (e *election) audit(ctx context.Context, s *stack) {
	e.t.Helper()
	e.Stop()
	e.Wait()
	if err := ledger.Drain(ctx, store); err != nil {
		e.t.Error(err)
	}
	viewing, leave := context.WithCancel(ctx)
	page := voters.NewViewer(viewing, s.results, voters.SSE, time.Now())
	defer func() { leave(); page.Wait() }()
	proof, err := e.ledger.Prove(ctx, store, e.before, page.Shown)
	testenv.Must(e.t, err)
	for _, failure := range proof.Refutes() {
		e.t.Error(failure)
	}
	if proof.Accepted != proof.Sent || proof.Accepted < votesPerSecond {
		e.t.Errorf("of %d votes %d were accepted in the end", proof.Sent, proof.Accepted)
	}
	e.t.Logf("%d accepted, %d retries, %d duplicates", proof.Accepted, proof.Retries, proof.Books.Duplicates)
}
