package servers_test

import (
	"net"
	"testing"

	"petvote/infra/servers"
	"petvote/infra/testenv"
)

func TestAPromotedSynchronousStandbyHasEveryCommit(t *testing.T) {
	t.Parallel()
	primary := testenv.NewPostgres(t)
	standby := testenv.NewPostgres(t, func(c *servers.PostgresConfig) { c.StandbyOf = primary })
	testenv.Must(t, primary.Synchronize(t.Context()))
	testenv.Must(t, primary.Execute(t.Context(), "create table pets as select 'dogs' as pet"))
	if err := standby.Execute(t.Context(), "insert into pets values ('cats')"); err == nil {
		t.Error("a standby takes writes")
	}
	testenv.Must(t, primary.Kill())
	testenv.Must(t, standby.Promote(t.Context()))
	if err := standby.Execute(t.Context(), "insert into pets values ('cats')"); err != nil {
		t.Error(err)
	}
	testenv.Must(t, standby.Fence(t.Context()))
	if err := standby.Execute(t.Context(), "insert into pets values ('lizards')"); err == nil {
		t.Error("a fenced primary takes writes")
	}
}

func TestRedisHandsOverToAReplicaBehindOneAddress(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	old, replica := testenv.NewRedis(t), testenv.NewRedis(t)
	testenv.Must(t, replica.Follow(ctx, old))
	relay := testenv.NewRelay(t, old.Addr(), servers.Delays{})
	kept, err := net.Dial("tcp", relay.Addr())
	testenv.Must(t, err)
	defer kept.Close()
	ask(t, kept, "set pet dogs", "+OK")
	testenv.Must(t, old.HandOver(ctx, replica))
	relay.Lead(replica.Addr())
	ask(t, kept, "set pet cats", "-READONLY")
	fresh, err := net.Dial("tcp", relay.Addr())
	testenv.Must(t, err)
	defer fresh.Close()
	ask(t, fresh, "set pet cats", "+OK")
	if err := relay.Close(); err != nil {
		t.Error(err)
	}
	if _, err := kept.Read(make([]byte, 1)); err == nil {
		t.Error("a closed relay leaves a connection open")
	}
}

func ask(t *testing.T, conn net.Conn, command, want string) {
	t.Helper()
	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 512)
	n, err := conn.Read(reply)
	if err != nil || n < len(want) || string(reply[:len(want)]) != want {
		t.Fatalf("%s: %q, %v", command, reply[:n], err)
	}
}
