package systemtest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"petvote/shared/ballot"
)

// The data of the version of commit b6b49ca, as its own services wrote it, with five votes, numbered from 1:
//
//   - 1 and 2 are stored, and a repetition of 1 is among the duplicates;
//   - 3 is stored, but its worker crashed before it acknowledged the entry (CRASH_AT=after-commit);
//   - 4 was read by a worker that crashed before it stored it (CRASH_AT=after-read);
//   - 5 and a repetition of 2 wait in the queue;
//   - 9, a vote for birds, is a dead letter.
//
// Made by "pg_dump --inserts --no-owner --no-privileges" without comments and settings, and by DUMP of each key.
// Votes 1, 3 and 4 were sampled (TRUST_TRACEPARENT and a traceparent of the client, OTEL_TRACES_EXPORTER=console).
var (
	//go:embed testdata/former/postgres.sql
	formerPostgres string
	//go:embed testdata/former/redis.json
	formerRedis []byte
)

func TestAnUpgradeKeepsEveryVoteOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	r := stoppedRig(t, withEnv("OTEL_TRACES_EXPORTER=console")) // or sampled traces would end in the queue
	ctx := t.Context()
	r.must(r.Redis.Start(ctx))
	r.must(r.Postgres.Start(ctx))
	dumps := map[string][]byte{}
	r.must(json.Unmarshal(formerRedis, &dumps))
	for key, dump := range dumps {
		r.must(r.RDB.Restore(ctx, key, 0, string(dump)).Err())
	}
	r.must(r.Postgres.Execute(ctx, formerPostgres))
	r.must(r.Redis.Stop(ctx))
	r.must(r.Postgres.Stop(ctx))

	r.must(r.Start(ctx))
	r.drained()
	r.shows(ballot.Counts{Dogs: 2, Cats: 2, Lizards: 1})
	at, err := r.Standings(ctx)
	r.must(err)
	if at.Rows != at.Tally || at.Duplicates != 2 || at.Dead != 1 || at.Added != 8 || at.Waiting != 0 {
		t.Errorf("the books: %+v", at)
	}
	var charted int64
	r.must(r.DB.QueryRow(ctx, `select sum(votes)::bigint from history`).Scan(&charted))
	if charted != 5 {
		t.Errorf("the history has %d votes", charted)
	}

	const (
		cast   = "2026-11-26T18:31:32.932522Z"
		queued = "2026-11-26T18:31:32.932Z"
		stored = "2026-11-26T18:31:32.938311Z"
	)
	for n, want := range map[int]string{
		1: "dogs " + trace(1), 2: "cats " + trace(2), 3: "lizards " + trace(3), 4: "dogs " + trace(4), 5: "cats ",
	} {
		for _, query := range []string{"", "?entry=0/1795717892932-0"} {
			var got receipt
			r.must(r.get(r.Result.URL("/votes/"+formerVote(n)+query), &got))
			if !got.Counted || got.Pet+" "+got.TraceID != want || got.QueuedAt.IsZero() {
				t.Errorf("vote %d%s: %+v, want %s", n, query, got, want)
			}
			times := []string{cast, queued, stored}
			for i, at := range []time.Time{got.CastAt, got.QueuedAt, got.StoredAt} {
				if n == 1 && at.Format(time.RFC3339Nano) != times[i] {
					t.Errorf("vote 1: %v, want %v", at, times[i])
				}
			}
		}
	}

	dead := func(args ...string) string {
		command := exec.Command(r.Worker.Spec.Path, slices.Concat(r.Worker.Spec.Args, []string{"dead"}, args)...)
		command.Env = r.Worker.Spec.Env
		out, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("dead %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	listed := dead("list")
	if letter := formerLetter.FindString(listed); letter == "" || !strings.Contains(listed, formerVote(9)) {
		t.Errorf("listed: %s", listed)
	} else if out := dead("replay", letter); out != "1 replayed\n" {
		t.Errorf("replayed: %s", out)
	}
	r.drained()
	if at, err = r.Standings(ctx); err != nil || at.Dead != 2 || at.Added != 9 {
		t.Errorf("after the replay: %+v, %v", at, err)
	}
	if out := dead("drop", "-all"); out != "1 dropped\n" {
		t.Errorf("dropped: %s", out)
	}
}

// formerLetter is the dead letter's ID.
var formerLetter = regexp.MustCompile(`1795717892\d\d\d-0`)

func formerVote(n int) string { return fmt.Sprintf("01900000-0000-7000-8000-%012d", n) }
func trace(n int) string      { return fmt.Sprintf("%032x", 0xabc0+n) }
