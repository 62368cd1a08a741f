package servers_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"petvote/infra/testenv"
)

func TestPgBouncerTakesTheSessionFromAClientAfterEachTransaction(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := testenv.NewPostgres(t)
	pooler := testenv.NewPgBouncer(t, server.Addr())
	backend := func(conn *pgx.Conn) (pid int) {
		t.Helper()
		err := conn.QueryRow(ctx, "select pg_backend_pid()", pgx.QueryExecModeExec).Scan(&pid)
		testenv.Must(t, err)
		return pid
	}
	var clients [2]*pgx.Conn
	for i := range clients {
		var err error
		if clients[i], err = pgx.Connect(ctx, pooler.URL()); err != nil {
			t.Fatal(err)
		}
		defer clients[i].Close(ctx)
	}
	if a, b := backend(clients[0]), backend(clients[1]); a != b {
		t.Errorf("two clients in turn get the backends %d and %d, want one for both", a, b)
	}
}
