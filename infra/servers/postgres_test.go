package servers_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"petvote/infra/servers"
	"petvote/infra/testenv"
)

func postgresConn(t *testing.T, server *servers.Postgres) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL())
	testenv.Must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}

// processesNaming lists the processes on whose command line the text is.
func processesNaming(t *testing.T, text string) []string {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "pid=,args=").Output()
	testenv.Must(t, err)
	var found []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, text) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func TestPostgresKeepsWhatItCommittedWhenKilled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := testenv.NewPostgres(t)
	conn := postgresConn(t, server)
	if _, err := conn.Exec(ctx, "create table pets (name text)"); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		if _, err := conn.Exec(ctx, "insert into pets values ($1)", fmt.Sprint("lizard ", round)); err != nil {
			t.Fatal(err)
		}
		testenv.Must(t, server.Kill())
		testenv.Must(t, server.Start(ctx))
		conn = postgresConn(t, server)
		var count int
		if err := conn.QueryRow(ctx, "select count(*) from pets").Scan(&count); err != nil || count != round+1 {
			t.Fatalf("round %d: %d rows, %v", round, count, err)
		}
	}
}

func TestKillTakesPostgresBackendsAlong(t *testing.T) {
	t.Parallel()
	server := testenv.NewPostgres(t)
	conn := postgresConn(t, server)
	backend := int(conn.PgConn().PID())
	busy := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "select pg_sleep(600)")
		busy <- err
	}()
	testenv.Must(t, server.Kill())
	state, err := exec.Command("ps", "-o", "state=", "-p", fmt.Sprint(backend)).Output()
	if err == nil && !strings.HasPrefix(string(state), "Z") {
		t.Errorf("the backend outlived Kill: state %s", state)
	}
	if err := <-busy; err == nil {
		t.Error("the query of a killed server succeeded")
	}
}

func TestPostgresStartsAgainWhileABackendOfTheKilledServerIsStillEnding(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := testenv.NewPostgres(t)
	backend := int(postgresConn(t, server).PgConn().PID())
	// A kill from outside takes the postmaster alone. The backend, stopped, can't notice, and keeps the data locked.
	testenv.Must(t, syscall.Kill(backend, syscall.SIGSTOP))
	testenv.Must(t, syscall.Kill(server.PID(), syscall.SIGKILL))
	<-server.Done()
	started := make(chan error, 1)
	go func() { started <- server.Start(ctx) }()
	select {
	case err := <-started:
		t.Fatalf("started with a backend of the killed server alive: %v", err)
	case <-time.After(time.Second): // several attempts have failed by now, none of them for good
	}
	testenv.Must(t, syscall.Kill(backend, syscall.SIGCONT))
	testenv.Must(t, <-started)
}

func TestPausedPostgresAnswersWhenResumed(t *testing.T) {
	t.Parallel()
	server := testenv.NewPostgres(t)
	conn := postgresConn(t, server)
	testenv.Must(t, server.Pause())
	answer := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "select 1")
		answer <- err
	}()
	select {
	case err := <-answer:
		t.Errorf("a backend of a paused server answers: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	testenv.Must(t, server.Resume())
	if err := <-answer; err != nil {
		t.Errorf("after Resume: %v", err)
	}
}

func TestStopLeavesNoProcess(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]bool{"running": false, "paused": true} {
		t.Run(name, func(t *testing.T) {
			server := testenv.NewPostgres(t)
			postgresConn(t, server) // an open session must not hold the stop up
			if pause {
				testenv.Must(t, server.Pause())
			}
			if len(processesNaming(t, server.Dir)) == 0 {
				t.Fatal("the server's process is not found while it runs")
			}
			testenv.Must(t, server.Stop(t.Context()))
			if left := processesNaming(t, server.Dir); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			if server.Err() != nil {
				t.Errorf("the server ended with %v", server.Err())
			}
		})
	}
}

func TestPostgresIsReachableWithItsPasswordOnlyAndHasTheSettingsAskedFor(t *testing.T) {
	server := testenv.NewPostgres(t, func(c *servers.PostgresConfig) {
		c.Settings = []string{"max_connections=17"}
	})
	var user, database, most string
	err := postgresConn(t, server).QueryRow(t.Context(),
		"select current_user, current_database(), current_setting('max_connections')").Scan(&user, &database, &most)
	if err != nil || user != "petvote" || database != "petvote" || most != "17" {
		t.Errorf("user %q, database %q, %q connections, %v", user, database, most, err)
	}
	conn, err := pgx.Connect(t.Context(), strings.Replace(server.URL(), ":petvote@", ":wrong@", 1))
	if err == nil {
		_ = conn.Close(t.Context())
		t.Error("a wrong password is let in")
	}
}
