package votestore

import (
	"strings"
	"testing"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

// Each does all its work, and is refused the work of the other. The odd name and passwords need quoting.
func TestWorkerAndResultNeedOnlyTheirOwnRights(t *testing.T) {
	t.Parallel()
	address := testenv.NewPostgres(t).URL()
	ctx := t.Context()
	for _, passwords := range [][2]string{{"p'w\\1", "p%s"}, {"changed", "p%s"}} { // the second time it changes them
		roles := Roles{
			Worker: `pet "worker"`, WorkerPassword: passwords[0], Result: "pet_result", ResultPassword: passwords[1],
		}
		as := func(user, password string) *Store { // with the same settings besides
			return open(t, Config{URL: DatabaseURL(withUser(t, address, user, password)), Roles: roles})
		}
		migrate(t, as("petvote", "petvote"))
		worker, result := as(roles.Worker, passwords[0]), as(roles.Result, passwords[1])
		migrate(t, worker) // finds nothing to do
		sub := subscribe(t, result)
		first, again := newEntry(ballot.Dogs), newEntry(ballot.Dogs)
		again.Vote.ID = first.Vote.ID
		if out := record(t, worker, first, again, newEntry(ballot.Cats)); out != (counts{Stored: 2, Duplicates: 1}) {
			t.Errorf("worker: %+v", out)
		}
		record(t, worker, newBatch(copyFrom)...)
		if n, err := sub.Next(ctx); err != nil || n.Oldest.IsZero() {
			t.Errorf("result: notice %+v, %v", n, err)
		}
		if got := tally(t, result); got.Total() == 0 {
			t.Error("result: no votes")
		}
		_, failed := result.History(ctx, first.Vote.CastAt)
		_, err := result.Receipt(ctx, first.Vote.ID)
		if _, err2 := result.Stats(ctx); err != nil || failed != nil || err2 != nil {
			t.Errorf("result: %v, %v, %v", err, failed, err2)
		}
		for name, s := range map[string]*Store{"worker": worker, "result": result} {
			if got := settings(t, s); got != "" {
				t.Errorf("%s finds %s", name, got)
			}
		}
		_, err = result.Record(ctx, []Entry{newEntry(ballot.Dogs)})
		if err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("result stores a vote: %v", err)
		}
		for _, forbidden := range []string{
			"update votes set pet = 'dogs'", "delete from votes", "truncate tally", "delete from tally",
			"delete from history", "drop table duplicates", "insert into petvote_migrations default values",
		} {
			if _, err := worker.pool.Exec(ctx, forbidden); err == nil {
				t.Errorf("worker may %s", forbidden)
			}
		}
	}
}
