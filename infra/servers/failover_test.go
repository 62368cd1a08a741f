package servers_test

import (
	"context"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"

	"petvote/infra/servers"
	"petvote/infra/testenv"
)

func execute(t *testing.T, server *servers.Postgres, statement string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), statement)
	return err
}

func TestAPromotedSynchronousStandbyHasEveryCommit(t *testing.T) {
	primary := testenv.NewPostgres(t)
	standby := testenv.NewPostgres(t, func(c *servers.PostgresConfig) { c.StandbyOf = primary })
	if err := primary.Synchronize(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := execute(t, primary, "create table pets as select 'dogs' as pet"); err != nil {
		t.Fatal(err)
	}
	if err := execute(t, standby, "insert into pets values ('cats')"); err == nil {
		t.Error("a standby takes writes")
	}
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := execute(t, standby, "insert into pets values ('cats')"); err != nil {
		t.Error(err)
	}
	if err := standby.Fence(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := execute(t, standby, "insert into pets values ('lizards')"); err == nil {
		t.Error("a fenced primary takes writes")
	}
}

func TestRedisHandsOverToAReplicaBehindOneAddress(t *testing.T) {
	ctx := t.Context()
	old, replica := testenv.NewRedis(t), testenv.NewRedis(t)
	if err := replica.Follow(ctx, old); err != nil {
		t.Fatal(err)
	}
	relay, err := servers.NewRelay(old.Addr())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := net.Dial("tcp", relay.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	ask(t, kept, "set pet dogs", "+OK")
	if err := old.HandOver(ctx, replica); err != nil {
		t.Fatal(err)
	}
	relay.Lead(replica.Addr())
	ask(t, kept, "set pet cats", "-READONLY")
	fresh, err := net.Dial("tcp", relay.Addr())
	if err != nil {
		t.Fatal(err)
	}
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
