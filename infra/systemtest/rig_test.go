package systemtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/infra/wait"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// rig is a whole platform of one test, with a ledger of the votes that its voters cast.
type rig struct {
	*platform.Platform
	t      testing.TB
	ledger *ledger.Ledger
}

// patience is how long a test waits for what must come, however busy the machine is. How soon it comes is for benchmarks.
const patience = time.Minute

// withEnv adds to the environment of every service.
func withEnv(env ...string) func(*platform.Options) {
	return func(o *platform.Options) { o.Env = append(o.Env, env...) }
}

// newRig starts a platform with short waits: a stop without a delay, and a takeover after two seconds.
func newRig(t testing.TB, choose ...func(*platform.Options)) *rig {
	t.Helper()
	if testing.Short() && !essential.MatchString(t.Name()) {
		t.Skip("not among the essential tests, which -short keeps")
	}
	options := platform.Options{
		Dir: testenv.NewFolder(t), Bin: bin, Env: []string{"CLAIM_IDLE=2s", "LOG_FORMAT=text", "SHUTDOWN_DELAY=0s"},
	}
	for _, c := range choose {
		c(&options)
	}
	p, err := platform.New(options)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Platform: p, t: t, ledger: ledger.New(nil)}
	t.Cleanup(func() {
		if t.Failed() {
			for _, s := range []*platform.Service{p.Vote, p.Worker, p.Result} {
				r.showLog(s)
			}
			t.Logf("the end of the log of redis:\n%s\nand of postgres:\n%s", p.Redis.Log(), p.Postgres.Log())
		}
		if err := p.Close(context.Background()); err != nil {
			t.Errorf("the platform did not stop cleanly: %v", err)
		}
	})
	r.must(p.Start(t.Context()))
	return r
}

func (r *rig) showLog(s *platform.Service) {
	r.t.Logf("the end of the log of %s:\n%s", s.Spec.Name, s.Log())
}

// describe gives one more instance of a service, which is stopped with the test.
func (r *rig) describe(name string, env ...string) *platform.Service {
	r.t.Helper()
	s, err := r.Describe(name, env...)
	r.must(err)
	r.t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			r.t.Errorf("%s did not stop cleanly: %v", name, err)
		}
		if r.t.Failed() {
			r.showLog(s)
		}
	})
	return s
}

// must fails the test at an error of the test's own doing.
func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// eventually checks until the answer is nil.
func (r *rig) eventually(check func() error) {
	r.t.Helper()
	r.must(wait.Until(r.t.Context(), patience, func(context.Context) error { return check() }))
}

// elapse lets time pass, for load or an outage to take place.
func (r *rig) elapse(d time.Duration) {
	r.t.Helper()
	r.must(wait.For(r.t.Context(), d))
}

type tallyAnswer struct {
	Votes ballot.Counts `json:"votes"`
	Total int64         `json:"total"`
	AsOf  time.Time     `json:"as_of"`
	Stale bool          `json:"stale"`
}

func (r *rig) tally() (tallyAnswer, error) {
	var a tallyAnswer
	return a, r.get(r.Result.URL("/api/tally"), &a)
}

func (r *rig) get(url string, into any) error { return platform.Get(r.t.Context(), url, into) }

// stored returns every stored vote, by its id.
func (r *rig) stored() map[string]ballot.Choice {
	r.t.Helper()
	rows, err := ledger.Direct{DB: r.DB}.StoredSince(r.t.Context(), time.Time{})
	r.must(err)
	stored := make(map[string]ballot.Choice, len(rows))
	for id, pet := range rows {
		stored[id.String()] = pet
	}
	return stored
}

// drained waits until nothing is left in the stream.
func (r *rig) drained() votestream.Stats {
	r.t.Helper()
	st, err := r.Drained(r.t.Context(), patience)
	r.must(err)
	return st
}

// bounce kills a part and starts it again after a while.
func (r *rig) bounce(p interface {
	Kill() error
	Start(context.Context) error
}, away time.Duration) {
	r.t.Helper()
	r.must(p.Kill())
	r.elapse(away)
	r.must(p.Start(r.t.Context()))
}

// audit proves that every vote in the ledger that was accepted is counted once, and that no other vote is stored.
func (r *rig) audit() {
	r.t.Helper()
	ctx, store := r.t.Context(), ledger.Direct{Queue: r.Queue, DB: r.DB}
	r.must(ledger.Drain(ctx, store))
	proof, err := r.ledger.Prove(ctx, store, ledger.Standings{}, func(context.Context) (ballot.Counts, error) {
		a, err := r.tally()
		if err == nil && a.Stale {
			err = fmt.Errorf("the page is stale: %+v", a)
		}
		return a.Votes, err
	})
	r.must(err)
	for _, failure := range proof.Refutes() {
		r.t.Error(failure)
	}
	if proof.Rows != int64(proof.Stored) {
		r.t.Errorf("%d votes are stored, of which %d were sent", proof.Rows, proof.Stored)
	}
	r.t.Logf("accepted %d, refused %d, unknown %d, stored %d, lost %d",
		proof.Accepted, proof.Refused, proof.Unknown, proof.Stored, proof.Lost)
}

// crash starts a worker that is told to die, and waits until it has; it may do so before it was ready.
func (r *rig) crash(doomed *platform.Service) {
	r.t.Helper()
	if err := doomed.Start(r.t.Context()); err != nil {
		if _, early := errors.AsType[*servers.EarlyExit](err); !early {
			r.t.Fatal(err)
		}
	}
	select {
	case <-doomed.Done():
	case <-time.After(patience):
		r.t.Fatal("the worker did not crash")
	}
}
