package systemtest

import (
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

// Each connection takes longer than the services' own limit, but not longer than the address allows.
func TestTheConnectTimeoutOfTheAddressCounts(t *testing.T) {
	t.Parallel()
	port, err := servers.FreePort()
	testenv.Must(t, err)
	slow := testenv.NewRelay(t, net.JoinHostPort(servers.Loopback, strconv.Itoa(port)),
		servers.Delays{Connect: 1300 * time.Millisecond})
	r := newRig(t, withEnv("DATABASE_URL=postgres://petvote:petvote@"+slow.Addr()+"/petvote?connect_timeout=10"),
		func(o *platform.Options) { o.Ports.Postgres = port })
	r.vote(ballot.Cats)
	r.shows(ballot.Counts{Cats: 1})
	r.wantNoFinding(r.Result)
}

// The user's own schema comes first in PostgreSQL's default search_path.
func TestASchemaNamedLikeTheUserDoesNotHideTheVotes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.vote(ballot.Dogs)
	r.shows(ballot.Counts{Dogs: 1})
	r.sql("create schema petvote authorization petvote")
	for _, s := range []*platform.Service{r.Worker, r.Result} {
		r.must(s.Stop(t.Context()))
		r.must(s.Start(t.Context()))
	}
	r.vote(ballot.Dogs)
	r.shows(ballot.Counts{Dogs: 2})
	r.audit()
}

// withRoles has the owner migrate, and worker and result work as roles of their own, as Compose does.
func withRoles(o *platform.Options) {
	worker, result := filepath.Join(o.Bin, platform.Worker), filepath.Join(o.Bin, platform.Result)
	o.Commands = map[string][]string{
		platform.Worker: {"sh", "-c", `export POSTGRES_WORKER_USER=pets_worker POSTGRES_WORKER_PASSWORD="it's w"
			export POSTGRES_RESULT_USER=pets_result POSTGRES_RESULT_PASSWORD="it's r"
			"$0" migrate && POSTGRES_USER=pets_worker POSTGRES_PASSWORD="it's w" exec "$0"`, worker},
		platform.Result: {"sh", "-c", `POSTGRES_USER=pets_result POSTGRES_PASSWORD="it's r" exec "$0"`, result},
	}
}

func TestWorkerAndResultWorkAsRolesOfTheirOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t, withRoles)
	r.during(100, func() {
		r.awaitAnswer(ledger.Accepted)
		r.must(r.Worker.Kill())
		r.must(r.Worker.Start(t.Context()))
		r.awaitAnswer(ledger.Accepted)
		r.must(r.Postgres.Kill())
		r.must(r.Postgres.Start(t.Context()))
	})
	first := r.vote(ballot.Lizards)
	for range 3 {
		r.cast(first.Vote, ballot.Lizards)
	}
	r.audit()
	for _, path := range []string{"/votes/" + first.Vote.String(), "/api/history", "/api/tally"} {
		r.must(r.wantStatus(r.Result.URL(path), http.StatusOK))
	}
	r.wantNoFinding(r.Worker)
	r.wantNoFinding(r.Result)
	rows, err := r.DB.Query(t.Context(), `select distinct usename from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid() order by usename`)
	r.must(err)
	users, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if want := []string{"pets_result", "pets_worker"}; err != nil || !slices.Equal(users, want) {
		t.Errorf("the users at work are %v, %v", users, err)
	}
}
