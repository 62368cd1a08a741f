package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"petvote/observability/telemetry"
	"petvote/shared/config"
	"petvote/shared/resilience"
	"petvote/shared/votestore"
)

// newMigratePolicy returns the policy of migrations. They may take hours, so no attempt is cut off. A migration that
// final reports is not tried again.
func newMigratePolicy(l resilience.Listener, final func(error) bool) *resilience.Policy {
	return resilience.New(resilience.Settings{Name: "postgres-migrate", Timeout: resilience.NoTimeout,
		MaxWait: 5 * time.Second, Permanent: final, Listener: l})
}

// migrations bring the schema up to date. Until they have, the worker is not ready, and says why.
type migrations struct {
	migrate func(context.Context) error
	policy  *resilience.Policy
	reason  atomic.Pointer[error] // why the worker is not ready
}

var errNotMigrated = errors.New("database migrations have not completed")

func newMigrations(migrate func(context.Context) error, policy *resilience.Policy) *migrations {
	m := &migrations{migrate: migrate, policy: policy}
	m.reason.Store(&errNotMigrated)
	return m
}

func (m *migrations) ready() error { return *m.reason.Load() }

// run returns when the migrations have completed, or an error with which they would always end. A worker without the
// rights to migrate waits until the owner of the database has run "worker migrate".
func (m *migrations) run(ctx context.Context) error {
	return m.policy.Do(ctx, func(ctx context.Context) error {
		err := m.migrate(ctx)
		if votestore.IsMissingRight(err) {
			err = fmt.Errorf(`%w; run "worker migrate" as the owner of the database, or give this role the right`, err)
		}
		reason := err
		if err != nil {
			reason = fmt.Errorf("%w: %w", errNotMigrated, err)
		}
		m.reason.Store(&reason)
		return err
	})
}

const migrateUsage = `usage: worker migrate     bring the database's schema up to date, and end`

// migrateOnly is the command "worker migrate". It waits for PostgreSQL, and for another worker that migrates.
func migrateOnly(ctx context.Context, args, environ []string, out io.Writer) error {
	if len(args) > 0 {
		return errors.New(migrateUsage)
	}
	var cfg struct {
		config.Service
		Postgres votestore.Config
	}
	if err := config.Load(environ, &cfg); err != nil {
		return err
	}
	telemetry.Log(os.Stderr, name, string(cfg.LogFormat), slog.Level(cfg.LogLevel))
	db, err := cfg.Postgres.Open(ctx, 2, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	final := func(err error) bool {
		return votestore.IsWrongMigration(err) || votestore.IsMissingRight(err) || votestore.IsRefused(err)
	}
	policy := newMigratePolicy(nil, final)
	err = newMigrations(func(ctx context.Context) error {
		err := db.Migrate(ctx)
		if err != nil && ctx.Err() == nil && !final(err) {
			slog.WarnContext(ctx, "can't migrate yet; retrying", "error", err)
		}
		return err
	}, policy).run(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.New("interrupted")
	case err != nil:
		return err
	}
	fmt.Fprintln(out, "the schema is up to date")
	return nil
}
