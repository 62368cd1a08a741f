package votestore

import (
	"strings"
	"testing"
)

// settings lists the settings found wanting.
func settings(t *testing.T, s *Store) string {
	t.Helper()
	found, err := s.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, w := range found {
		names = append(names, w.Setting)
	}
	return strings.Join(names, ", ")
}

func TestAnInspectionNamesWhatWeakensThePromise(t *testing.T) {
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
	execute(t, url, "delete from petvote_migrations where version_id > 1")
	if got := settings(t, openStore(t, url)); got != "postgres schema" {
		t.Errorf("with an older schema: %s", got)
	}
}

func TestAnEmptyDatabaseIsFoundWanting(t *testing.T) {
	s := newStore(t)
	elsewhere := inSchema(t, s.pool.Config().ConnString(), "pets")
	if got := settings(t, elsewhere); got != "postgres schema" {
		t.Errorf("without tables in the schema: %s", got)
	}
}
