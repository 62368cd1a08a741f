package systemtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// rig is the whole platform.
type rig struct {
	t        testing.TB
	redis    *servers.Redis
	postgres *servers.Postgres
	vote     *service
	worker   *service
	result   *service
	rdb      *redis.Client
	queue    *votestream.Queue
}

// service is one of the programs, running.
type service struct {
	*servers.Process
	port, ops int
}

func (s *service) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", s.port, path) }

func (s *service) opsURL(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", s.ops, path)
}

// setup is what a test can choose about its rig.
type setup struct {
	redis  func(*servers.RedisConfig)
	env    []string // for every service
	worker []string // for the worker alone
}

func newRig(t testing.TB, choose ...func(*setup)) *rig {
	t.Helper()
	var s setup
	for _, c := range choose {
		c(&s)
	}
	if s.redis == nil {
		s.redis = func(*servers.RedisConfig) {}
	}
	r := &rig{t: t, redis: testenv.NewRedis(t, s.redis), postgres: testenv.NewPostgres(t)}
	r.rdb = redis.NewClient(&redis.Options{Addr: r.redis.Addr()})
	t.Cleanup(func() { _ = r.rdb.Close() })
	r.queue = votestream.NewQueue(r.rdb)
	r.vote, r.worker, r.result = r.service(), r.service(), r.service()
	s.env = append(s.env, "VOTE_URL="+r.vote.url(""), "RESULT_URL="+r.result.url(""))
	r.become(r.worker, "worker", append(s.worker, s.env...)...)
	r.become(r.result, "result", s.env...)
	r.become(r.vote, "vote", s.env...)
	for _, s := range []*service{r.worker, r.result, r.vote} {
		r.must(s.Start(t.Context()))
	}
	return r
}

// service has ports, and is no program yet.
func (r *rig) service() *service {
	r.t.Helper()
	port, err := servers.FreePort()
	r.must(err)
	ops, err := servers.FreePort()
	r.must(err)
	return &service{port: port, ops: ops}
}

// describe makes a service that is stopped with the test, its log shown if the test fails.
func (r *rig) describe(name string, env ...string) *service {
	r.t.Helper()
	s := r.service()
	r.become(s, name, env...)
	return s
}

func (r *rig) become(s *service, name string, env ...string) {
	s.Process = servers.NewProcess(servers.Spec{
		Name: name, Path: filepath.Join(bin, name), Ready: func(ctx context.Context, _ int) error { return ready(ctx, s) },
		Env: append([]string{
			"PORT=" + strconv.Itoa(s.port), "OPS_PORT=" + strconv.Itoa(s.ops), "CONSUMER_NAME=" + name + "-1", "CLAIM_IDLE=2s", "LOG_FORMAT=text",
			"REDIS_HOST=" + r.redis.Host(), "REDIS_PORT=" + strconv.Itoa(r.redis.Port()), "DATABASE_URL=" + r.postgres.URL(),
		}, env...),
	})
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if s.Running() {
			if err := s.Stop(ctx); err != nil {
				r.t.Errorf("%s did not stop cleanly: %v", name, err)
			}
		}
		if r.t.Failed() {
			r.t.Logf("the end of the log of %s:\n%s", name, s.Log())
		}
	})
}

func ready(ctx context.Context, s *service) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.opsURL("/readyz"), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return err
}

// must fails the test at an error of the test's own doing.
func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// eventually asks until the answer is nil.
func (r *rig) eventually(within time.Duration, ask func() error) {
	r.t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("not within %v: %v", within, err)
		}
		time.Sleep(20 * time.Millisecond) // between two questions, not for something to happen
	}
}

type tallyAnswer struct {
	Votes ballot.Counts `json:"votes"`
	Total int64         `json:"total"`
	AsOf  time.Time     `json:"as_of"`
	Stale bool          `json:"stale"`
}

func (r *rig) tally() (tallyAnswer, error) {
	var a tallyAnswer
	return a, r.get(r.result.url("/api/tally"), &a)
}

func (r *rig) get(url string, into any) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// stored returns every vote's row, by id.
func (r *rig) stored() map[string]ballot.Choice {
	r.t.Helper()
	ctx := r.t.Context()
	conn, err := pgx.Connect(ctx, r.postgres.URL())
	r.must(err)
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `select id::text, pet from votes`)
	r.must(err)
	found := map[string]ballot.Choice{}
	var id, pet string
	_, err = pgx.ForEachRow(rows, []any{&id, &pet}, func() error { found[id] = ballot.Choice(pet); return nil })
	r.must(err)
	return found
}

// drained waits until nothing is left in the stream.
func (r *rig) drained(within time.Duration) votestream.Stats {
	r.t.Helper()
	var st votestream.Stats
	r.eventually(within, func() error {
		var err error
		if st, err = r.queue.Stats(r.t.Context()); err != nil {
			return err
		}
		if st.Waiting+st.InFlight > 0 {
			return fmt.Errorf("%d waiting, %d in flight", st.Waiting, st.InFlight)
		}
		return nil
	})
	return st
}

// bounce kills a server and starts it again after a while.
func (r *rig) bounce(p interface {
	Kill() error
	Start(context.Context) error
}, away time.Duration) {
	r.t.Helper()
	r.must(p.Kill())
	time.Sleep(away) // the outage
	r.must(p.Start(r.t.Context()))
}

// audit compares what was accepted with what is stored and shown, as sets.
func (r *rig) audit(l *ledger) {
	r.t.Helper()
	st := r.drained(30 * time.Second)
	if st.Dead > 0 {
		r.t.Errorf("%d dead letters", st.Dead)
	}
	stored := r.stored()
	var want ballot.Counts
	lost := 0
	for id, pet := range l.accepted {
		if stored[id] != pet {
			if lost++; lost <= 5 {
				r.t.Errorf("accepted vote %s for %s is stored as %q", id, pet, stored[id])
			}
		}
	}
	unknown := 0
	for id, pet := range stored {
		want.Add(pet, 1)
		if _, ok := l.accepted[id]; !ok {
			if unknown++; !l.unknown[id] {
				r.t.Errorf("vote %s is stored and was never sent", id)
			}
		}
	}
	r.eventually(10*time.Second, func() error {
		a, err := r.tally()
		if err == nil && (a.Votes != want || a.Stale) {
			err = fmt.Errorf("shown %+v, stored %+v", a, want)
		}
		return err
	})
	r.t.Logf("accepted %d, refused or unknown %d, stored %d (%d of them unknown), lost %d", len(l.accepted), len(l.unknown), len(stored), unknown, lost)
}

// ledger is the client's own record.
type ledger struct {
	mu       sync.Mutex
	accepted map[string]ballot.Choice
	unknown  map[string]bool // refused, cut off or timed out: may or may not be stored
	slowest  time.Duration
	failures []string
}

func newLedger() *ledger {
	return &ledger{accepted: map[string]ballot.Choice{}, unknown: map[string]bool{}}
}
