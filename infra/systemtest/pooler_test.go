package systemtest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

// behindPooler leads worker and result to PostgreSQL by way of a PgBouncer in transaction mode.
func behindPooler(t *testing.T, env ...string) func(*platform.Options) {
	t.Helper()
	port, err := servers.FreePort()
	testenv.Must(t, err)
	pooler := testenv.NewPgBouncer(t, net.JoinHostPort(servers.Loopback, strconv.Itoa(port)))
	return func(o *platform.Options) {
		o.Ports.Postgres = port
		o.Env = append(append(o.Env, "DATABASE_URL="+pooler.URL()), env...)
	}
}

func TestBehindAPoolerNoVoteIsLostAndNoReadRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, behindPooler(t))
	second := r.describe(platform.Worker)
	r.must(second.Start(t.Context()))
	const voters, rounds = 8, 40
	var (
		voting  sync.WaitGroup
		mu      sync.Mutex
		refused []string
	)
	for range voters {
		voting.Go(func() {
			for range rounds {
				a := r.cast(uuid.Must(uuid.NewV7()), ballot.Dogs)
				for _, path := range []string{"/votes/" + a.Vote.String() + "?entry=" + a.Entry, "/api/history?minutes=5"} {
					answer, err := exchange(t.Context(), http.MethodGet, r.Result.URL(path), "")
					if err == nil && answer.StatusCode < 500 {
						continue
					}
					mu.Lock()
					refused = append(refused, fmt.Sprintf("%s: %s, %v", path, answer.body, err))
					mu.Unlock()
				}
			}
		})
	}
	voting.Wait()
	r.wantOnly(ledger.Accepted)
	if len(refused) > 0 {
		t.Errorf("%d of %d reads were refused, such as %s", len(refused), 2*voters*rounds, refused[0])
	}
	r.must(errors.Join(r.Ready(t.Context()), second.Ready(t.Context())))
	r.audit()
	var locks int
	r.must(r.DB.QueryRow(t.Context(), `select count(*) from pg_locks where locktype = 'advisory'`).Scan(&locks))
	if locks > 0 {
		t.Errorf("%d advisory locks are left in the pooler's sessions", locks)
	}
}

// readiness is a service's answer at /readyz.
type readiness struct {
	Status   string
	Findings []struct{ Setting, Problem string }
}

// wantFinding waits until a service is degraded for a setting.
func (r *rig) wantFinding(s *platform.Service, setting string) {
	r.t.Helper()
	r.eventually(func() error {
		var is readiness
		if err := r.get(s.OpsURL("/readyz"), &is); err != nil {
			return err
		}
		for _, f := range is.Findings {
			if f.Setting == setting && is.Status == "degraded" {
				return nil
			}
		}
		return fmt.Errorf("no finding about %s: %+v", setting, is)
	})
}

// wantNoFinding waits until a service is ready without findings.
func (r *rig) wantNoFinding(s *platform.Service) {
	r.t.Helper()
	r.eventually(func() error {
		var is readiness
		if err := r.get(s.OpsURL("/readyz"), &is); err != nil || is.Status != "ready" {
			return fmt.Errorf("%s is %+v, %w", s.Spec.Name, is, err)
		}
		return nil
	})
}

// A pooler in transaction mode accepts LISTEN, but passes no notice on. The first push may arrive by luck.
func TestBehindAPoolerPushesStayFastAndTheLossOfNoticesIsReported(t *testing.T) {
	t.Parallel()
	r := newRig(t, behindPooler(t))
	fastest := time.Hour
	for n := range int64(5) {
		r.vote(ballot.Cats)
		start := time.Now()
		r.shows(ballot.Counts{Cats: n + 1})
		if n > 0 {
			fastest = min(fastest, time.Since(start))
		}
	}
	if fastest > time.Second {
		t.Errorf("of four votes the fastest took %v to the screen", fastest)
	}
	t.Logf("the fastest took %v", fastest)
	r.wantFinding(r.Result, "DATABASE_LISTEN_URL")
	if sum(r.exported(r.Result), `petvote_findings{petvote_setting="DATABASE_LISTEN_URL"}`) != 1 {
		t.Error("no metric says so")
	}
	if log := r.Result.Log(); !strings.Contains(log, "DATABASE_LISTEN_URL") {
		t.Errorf("the log does not name the setting:\n%s", log)
	}
	direct := r.describe(platform.Result, "DATABASE_LISTEN_URL="+r.Postgres.URL())
	r.must(direct.Start(t.Context()))
	r.wantNoFinding(direct)
}
