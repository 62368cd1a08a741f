package votestore

import (
	"strings"
	"testing"
	"time"

	"petvote/infra/servers"
	"petvote/infra/testenv"
)

// settings lists the settings found wanting.
func settings(t *testing.T, s *Store) string {
	t.Helper()
	found, err := s.Inspect(t.Context())
	testenv.Must(t, err)
	var names []string
	for _, w := range found {
		names = append(names, w.Setting)
	}
	return strings.Join(names, ", ")
}

func TestAnInspectionNamesTheSettingsThatWeakenThePromise(t *testing.T) {
	s := newStore(t)
	if got := settings(t, s); got != "" {
		t.Errorf("a good database: %s", got)
	}
	url := s.pool.Config().ConnString()
	execute(t, url, "alter database "+databaseName(t, url)+" set synchronous_commit = off")
	if got := settings(t, openStore(t, url)); got != "postgres synchronous_commit" {
		t.Errorf("with asynchronous commits: %s", got)
	}
	execute(t, url, "alter database "+databaseName(t, url)+" reset synchronous_commit")
	execute(t, url, "alter table votes set unlogged")
	if got := settings(t, s); got != "postgres unlogged tables" {
		t.Errorf("with a table that a crash empties: %s", got)
	}
	execute(t, url, "alter table votes set logged")
	execute(t, url, "delete from petvote_migrations where version_id > 1")
	if got := settings(t, openStore(t, url)); got != "postgres schema" {
		t.Errorf("with an older schema: %s", got)
	}
}

func TestAnEmptyDatabaseIsFoundWanting(t *testing.T) {
	s := newStore(t)
	elsewhere := open(t, Config{URL: DatabaseURL(s.pool.Config().ConnString()), Schema: "pets"})
	if got := settings(t, elsewhere); got != "postgres schema" {
		t.Errorf("without tables in the schema: %s", got)
	}
}

func TestAServerThatDoesNotSyncIsFoundWanting(t *testing.T) {
	server := testenv.NewPostgres(t, func(c *servers.PostgresConfig) {
		c.Settings = []string{"fsync=off", "full_page_writes=off"}
	})
	s := openStore(t, server.URL())
	migrate(t, s)
	if got := settings(t, s); got != "postgres fsync, postgres full_page_writes" {
		t.Errorf("found %s", got)
	}
}

// A slow answer makes no skew.
func TestAClocksSkewExcludesTheDurationOfTheCall(t *testing.T) {
	start := time.Now()
	for read, want := range map[time.Duration]time.Duration{
		0: 0, 1500 * time.Millisecond: 0, 2 * time.Second: 0, 5 * time.Second: 3 * time.Second, -time.Hour: -time.Hour,
	} {
		if got := clockSkew(start.Add(read), start, 2*time.Second); got != want {
			t.Errorf("read as %v after the start: %v ahead, want %v", read, got, want)
		}
	}
}
