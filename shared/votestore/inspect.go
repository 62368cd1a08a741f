package votestore

import (
	"context"
	"fmt"
	"time"

	"petvote/shared/config"
)

// inspectStatement reads settings as they apply to this session: users and databases may have their own. It also names
// the tables that a crash of PostgreSQL empties.
const inspectStatement = `
select current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
  current_setting('fsync'), current_setting('full_page_writes'), clock_timestamp(),
  coalesce((select string_agg(relname, ', ' order by relname) from pg_class
    where relnamespace = to_regnamespace('SCHEMA') and relname = any($1::text[]) and relpersistence <> 'p'), '')`

// maxClockSkew is how far the database's clock may be from this machine's. NTP keeps both far closer.
const maxClockSkew = time.Second

// Inspect looks for settings under which stored votes can be lost. It needs no rights but those of a login.
func (s *Store) Inspect(ctx context.Context) (found []config.Finding, err error) {
	var (
		commit, standbys, fsync, pages, unlogged string
		now                                      time.Time
	)
	start := time.Now()
	err = s.pool.QueryRow(ctx, s.schema.in(inspectStatement), tables).
		Scan(&commit, &standbys, &fsync, &pages, &now, &unlogged)
	took := time.Since(start)
	if err != nil {
		return nil, fmt.Errorf("inspect database: %w", err)
	}
	add := func(bad bool, setting, problem string) {
		if bad {
			found = append(found, config.Finding{Setting: setting, Problem: problem})
		}
	}
	add(commit == "off", "postgres synchronous_commit",
		"it is off: a crash of PostgreSQL loses votes that were already acknowledged to Redis; set it to on")
	add(commit == "local" && standbys != "", "postgres synchronous_commit",
		"it is local: the promotion of a standby loses votes that were already acknowledged to Redis; set it to on")
	add(fsync == "off", "postgres fsync",
		"it is off: a loss of power can lose votes and damage the database; set it to on")
	add(pages == "off", "postgres full_page_writes",
		"it is off: a loss of power can damage the database; set it to on unless the file system makes it needless")
	add(unlogged != "", "postgres unlogged tables",
		"a crash of PostgreSQL empties them: "+unlogged+"; alter each with set logged")
	skew := clockSkew(now, start, took)
	add(skew.Abs() > maxClockSkew, "postgres clock",
		fmt.Sprintf("it is %v ahead of this machine's, and so the times of votes differ", skew.Round(100*time.Millisecond)))
	_, newest, err := s.migrations()
	if err != nil {
		return nil, err
	}
	v, err := s.version(ctx)
	if err != nil {
		return nil, fmt.Errorf("inspect database: %w", err)
	}
	add(v < newest, "postgres schema", fmt.Sprintf("schema %s (POSTGRES_SCHEMA) has version %d of petvote's tables, "+
		"this program needs %d: run worker migrate", s.schema, v, newest))
	return found, nil
}

// clockSkew returns how far another clock is ahead at least, if it was read within the time that a call took.
func clockSkew(other, start time.Time, took time.Duration) time.Duration {
	ahead, behind := other.Sub(start.Add(took)), other.Sub(start)
	return max(ahead, 0) + min(behind, 0)
}
