package systemtest

import (
	"net"
	"strconv"
	"testing"
	"time"

	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

// Each connection takes longer than the services' own limit, but not longer than the address allows.
func TestTheConnectTimeoutOfTheAddressCounts(t *testing.T) {
	t.Parallel()
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	slow := testenv.SlowToConnect(t, net.JoinHostPort(servers.Loopback, strconv.Itoa(port)), 1300*time.Millisecond)
	r := newRig(t, withEnv("DATABASE_URL=postgres://petvote:petvote@"+slow+"/petvote?connect_timeout=10"),
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
