package votestore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// The migrations, in which SCHEMA stands for the store's schema. Each runs in a transaction.
//
//go:embed migrations/*.sql
var migrations embed.FS

// withoutLimits lifts the server's time limits for a transaction: they are meant for statements of seconds, and a
// migration may take hours. (transaction_timeout is there from PostgreSQL 17 on.)
const withoutLimits = `select set_config(name, '0', true) from pg_settings
where name in ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout');
`

// versionTable lies in the store's schema, and is no other program's. Before there was one, goose's own table,
// goose_db_version, held the version, wherever the search_path led; it is left as it is, for programs of that age.
const versionTable = "petvote_migrations"

// tables are those of version 1.
var tables = []string{"votes", "tally", "history", "duplicates", "duplicate_count"}

// Migrate upgrades the schema to this program's version, and then sees to the [Roles], if there are any. Only one
// process migrates at a time; the others wait for it and find nothing to do. A schema that is not older than the
// program is left alone, so that only an upgrade needs the right to change it.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.migrate(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func (s *Store) migrate(ctx context.Context) error {
	steps, newest, err := s.migrations()
	if err != nil {
		return err
	}
	v, err := s.version(ctx)
	if err != nil || v >= newest && s.roles == (Roles{}) {
		return err
	}
	// The lock belongs to a transaction, because a session may not be kept (behind a pooler).
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing is left to roll back after the commit
	_, err = tx.Exec(ctx, withoutLimits+"select pg_advisory_xact_lock(hashtext('petvote migrations'))")
	if err == nil {
		err = s.upgrade(ctx, steps)
	}
	if err == nil && s.roles != (Roles{}) {
		err = s.roles.ensure(ctx, tx, s.schema)
	}
	if err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// upgrade runs the migrations that are missing, each in a transaction of its own.
func (s *Store) upgrade(ctx context.Context, steps []*goose.Migration) error {
	db := stdlib.OpenDBFromPool(s.pool)
	defer db.Close()
	if err := s.adopt(ctx, db); err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, nil, goose.WithTableName(s.versionTable()),
		goose.WithGoMigrations(steps...), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

func (s *Store) versionTable() string { return string(s.schema) + "." + versionTable }

// migrations returns the migrations for the store's schema, and the version of the last one.
func (s *Store) migrations() (steps []*goose.Migration, newest int64, err error) {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return nil, 0, err
	}
	for _, file := range files {
		number, _, _ := strings.Cut(file.Name(), "_")
		if newest, err = strconv.ParseInt(number, 10, 64); err != nil {
			return nil, 0, err
		}
		text, err := migrations.ReadFile(path.Join("migrations", file.Name()))
		if err != nil {
			return nil, 0, err
		}
		statements := withoutLimits + s.schema.in(string(text)) //nolint:gosec // the schema's name is quoted
		steps = append(steps, goose.NewGoMigration(newest, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, statements)
			return err
		}}, nil))
	}
	return steps, newest, nil
}

// version returns the schema's version; 0 if there is none.
func (s *Store) version(ctx context.Context) (v int64, err error) {
	made := false // asked first, because PostgreSQL logs a failed query as an error
	err = s.pool.QueryRow(ctx, "select to_regclass($1) is not null", s.versionTable()).Scan(&made)
	if err == nil && made {
		err = s.pool.QueryRow(ctx, "select coalesce(max(version_id), 0) from "+s.versionTable()).Scan(&v)
	}
	return v, err
}

// placesStatement counts the petvote tables in each schema that has some, with those that only an older version left.
const placesStatement = `
select schemaname, count(*) filter (where tablename = any($1)),
  bool_or(tablename = $2), bool_or(tablename = 'goose_db_version')
from pg_catalog.pg_tables where tablename = any($1) or tablename in ($2, 'goose_db_version')
group by schemaname`

// adopt makes the version table where an older version left tables without one, and makes the schema if it is missing.
// It refuses to begin anew beside tables that an older version put elsewhere, and among those of another program.
func (s *Store) adopt(ctx context.Context, db *sql.DB) error {
	var (
		schema, elsewhere           Schema
		count, here                 int
		versioned, former, upgraded bool
	)
	rows, _ := s.pool.Query(ctx, placesStatement, tables, versionTable) // the rows hold the error
	_, err := pgx.ForEachRow(rows, []any{&schema, &count, &versioned, &former}, func() error {
		switch {
		case schema == s.schema:
			here, upgraded = count, versioned
		case former && !versioned && count == len(tables):
			elsewhere = schema
		}
		return nil
	})
	switch {
	case err != nil || upgraded:
		return err
	case here == len(tables):
		return s.adoptVersionOne(ctx, db)
	case here > 0:
		return &schemaError{fmt.Sprintf("schema %s holds tables of another program, named like petvote's (%s): "+
			"set POSTGRES_SCHEMA to the name of another schema", s.schema, strings.Join(tables, ", "))}
	case elsewhere != "":
		return &schemaError{fmt.Sprintf("an older version's votes are in schema %s: set POSTGRES_SCHEMA=%s, or move "+
			"its tables to schema %s", elsewhere, elsewhere, s.schema)}
	}
	_, err = s.pool.Exec(ctx, s.schema.in(`do $$ begin
		if to_regnamespace('SCHEMA') is null then create schema SCHEMA; end if;
	end $$`))
	return err
}

// adoptVersionOne makes the version table for the only version that had none.
func (s *Store) adoptVersionOne(ctx context.Context, db *sql.DB) error {
	versions, err := database.NewStore(database.DialectPostgres, s.versionTable())
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing is left to roll back after the commit
	err = versions.CreateVersionTable(ctx, tx)
	for v := int64(0); v <= 1 && err == nil; v++ {
		err = versions.Insert(ctx, tx, database.InsertRequest{Version: v})
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// schemaError reports tables in the way, about which a person has to decide.
type schemaError struct{ problem string }

func (e *schemaError) Error() string { return e.problem }
