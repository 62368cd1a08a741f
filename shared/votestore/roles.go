package votestore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Roles are the users that worker and result log in as, where these are not the tables' owner. [Store.Migrate] makes
// those that are missing, sets their passwords if given, and grants them their rights.
type Roles struct {
	Worker         string `env:"POSTGRES_WORKER_USER"`
	WorkerPassword string `env:"POSTGRES_WORKER_PASSWORD"`
	Result         string `env:"POSTGRES_RESULT_USER"`
	ResultPassword string `env:"POSTGRES_RESULT_PASSWORD"`
}

//go:embed rights.sql
var rights string

// ensure does so within a transaction.
func (r Roles) ensure(ctx context.Context, tx pgx.Tx, schema Schema) error {
	if r.Worker == "" || r.Result == "" {
		return errors.New("of POSTGRES_WORKER_USER and POSTGRES_RESULT_USER one is set; set both")
	}
	for name, password := range map[string]string{r.Worker: r.WorkerPassword, r.Result: r.ResultPassword} {
		if err := ensureRole(ctx, tx, name, password); err != nil {
			return fmt.Errorf("role %s: %w", name, err)
		}
	}
	names := strings.NewReplacer(
		"WORKER", pgx.Identifier{r.Worker}.Sanitize(), "RESULT", pgx.Identifier{r.Result}.Sanitize())
	if _, err := tx.Exec(ctx, names.Replace(schema.in(rights))); err != nil {
		return fmt.Errorf("grant rights: %w", err)
	}
	return nil
}

// roleStatement returns the statements that a role needs, which can't have parameters themselves.
const roleStatement = `
select case when to_regrole(quote_ident($1)) is null then format('create role %I login', $1) else '' end,
  case when $2 <> '' then format('alter role %I password %L', $1, $2) else '' end`

func ensureRole(ctx context.Context, tx pgx.Tx, name, password string) error {
	var create, alter string
	err := tx.QueryRow(ctx, roleStatement, name, password).Scan(&create, &alter)
	for _, statement := range []string{create, alter} {
		if err == nil && statement != "" {
			_, err = tx.Exec(ctx, statement)
		}
	}
	return err
}
