package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"petvote/infra/testenv"
	"petvote/infra/wait"
	"petvote/shared/votestore"
)

func TestAMigrationMayTakeHoursAndAWrongOneEndsTheWorker(t *testing.T) {
	state := func(code string) error { return fmt.Errorf("migrate: %w", &pgconn.PgError{Code: code}) }
	for name, c := range map[string]struct {
		err   error // of the first attempt
		calls int
	}{
		"it takes hours":                      {nil, 1},
		"wrong SQL":                           {state("42601"), 1},
		"the tables of another program":       {state("42P07"), 1},
		"data that does not fit":              {state("23505"), 1},
		"a feature that is missing":           {state("0A000"), 1},
		"the role lacks a right, as yet":      {state("42501"), 2},
		"PostgreSQL starts":                   {state("57P03"), 2},
		"PostgreSQL is read-only":             {state("25006"), 2},
		"the server's own time-out":           {state("57014"), 2},
		"another worker migrates":             {errors.New("failed to acquire lock"), 2},
		"PostgreSQL can't be reached, as yet": {errDown, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			m := newMigrations(func(ctx context.Context) error {
				if calls++; calls == 1 && c.err != nil {
					return c.err
				}
				if calls > c.calls {
					return nil // one too many, which would go on for ever
				}
				pause(ctx, 20*time.Hour)
				return ctx.Err()
			}, newMigratePolicy(nil, votestore.IsWrongMigration))
			if err := m.ready(); !errors.Is(err, errNotMigrated) {
				t.Errorf("%s: ready before: %v", name, err)
			}
			err := m.run(t.Context())
			if calls != c.calls || (c.calls == 1) != (errors.Is(err, c.err)) {
				t.Errorf("%s: %d attempts, %v", name, calls, err)
			}
			if c.calls == 1 && c.err != nil {
				if !errors.Is(m.ready(), c.err) {
					t.Errorf("%s: readiness says %v", name, m.ready())
				}
			} else if err != nil || m.ready() != nil {
				t.Errorf("%s: %v; ready: %v", name, err, m.ready())
			}
		})
	}
}

func migrateAt(t *testing.T, address string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := migrateOnly(t.Context(), args, []string{"DATABASE_URL=" + address}, &out)
	return out.String(), err
}

func TestTheCommandMigratesAndEnds(t *testing.T) {
	address := testenv.NewDatabase(t)
	for range 2 {
		if out, err := migrateAt(t, address); err != nil || out != "the schema is up to date\n" {
			t.Errorf("%q, %v", out, err)
		}
	}
	if out, err := migrateAt(t, address, "-h"); err == nil || out != "" || !strings.Contains(err.Error(), migrateUsage) {
		t.Errorf("-h: %q, %v", out, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	unreachable := []string{"DATABASE_URL=postgres://127.0.0.1:1/petvote"}
	if err := migrateOnly(ctx, nil, unreachable, io.Discard); err == nil || err.Error() != "interrupted" {
		t.Errorf("interrupted: %v", err)
	}
	missing := strings.Replace(address, "/test_", "/none_", 1)
	if out, err := migrateAt(t, missing); err == nil || out != "" || !strings.Contains(err.Error(), "3D000") {
		t.Errorf("a database that does not exist: %q, %v", out, err)
	}
}

// The owner of the database need not be the worker's role.
func TestAWorkerWithoutTheRightToMigrateSaysSoAndWaits(t *testing.T) {
	address := testenv.NewDatabase(t)
	owner, err := pgx.Connect(t.Context(), address)
	testenv.Must(t, err)
	sql := func(statement string) {
		t.Helper()
		_, err := owner.Exec(context.WithoutCancel(t.Context()), statement)
		testenv.Must(t, err)
	}
	sql(`create role migrates_nothing login password 'secret'`)
	t.Cleanup(func() {
		sql(`drop owned by migrates_nothing; drop role migrates_nothing`)
		_ = owner.Close(context.Background())
	})
	u, err := url.Parse(address)
	testenv.Must(t, err)
	u.User = url.UserPassword("migrates_nothing", "secret")

	if _, err := migrateAt(t, u.String()); err == nil || !strings.Contains(err.Error(), "permission denied for schema") {
		t.Errorf("the command ends with %v", err)
	}
	db, err := votestore.Config{URL: votestore.DatabaseURL(u.String())}.Open(t.Context(), 4, nil)
	testenv.Must(t, err)
	defer db.Close()
	m := newMigrations(db.Migrate, newMigratePolicy(nil, votestore.IsWrongMigration))
	done := make(chan error)
	go func() { done <- m.run(t.Context()) }()
	testenv.Must(t, wait.Until(t.Context(), time.Minute, func(context.Context) error {
		reason := m.ready().Error()
		if !strings.Contains(reason, "permission denied for schema") || !strings.Contains(reason, `run "worker migrate"`) {
			return m.ready()
		}
		return nil
	}))
	_, err = migrateAt(t, address)
	testenv.Must(t, err)
	sql(`grant select on all tables in schema public to migrates_nothing`)
	if err := <-done; err != nil || m.ready() != nil {
		t.Errorf("after the owner has migrated: %v, %v", err, m.ready())
	}
}
