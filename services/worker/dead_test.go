package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/shared/votestream"
)

// deadQueue is a Redis with dead letters.
type deadQueue struct {
	rdb     *redis.Client
	environ []string
}

func newDeadQueue(t *testing.T) *deadQueue {
	t.Helper()
	server := testenv.NewRedis(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	return &deadQueue{rdb, []string{"REDIS_HOST=" + servers.Loopback, "REDIS_PORT=" + strconv.Itoa(server.Port)}}
}

const voteID = "0190a6f0-7b7e-7c3a-9d2e-4b5f6a7c8d9e"

// original is the entry of a dead letter.
var original = []string{
	"id", voteID, "vote", "birds", "cast_at", "2026-01-02T03:04:05Z", "traceparent", "", "tracestate", "",
}

// add adds a dead letter in the contract's form.
func (q *deadQueue) add(t *testing.T, id, reason, message string) {
	t.Helper()
	fields := append(slices.Clone(original), "reason", reason, "error", message, "failed_at", "2026-01-02T03:04:06.5Z")
	letter := redis.XAddArgs{Stream: votestream.DeadStream, ID: id, Values: fields}
	testenv.Must(t, q.rdb.XAdd(t.Context(), &letter).Err())
}

func (q *deadQueue) dead(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := deadLetters(t.Context(), args, q.environ, &out)
	return out.String(), err
}

func (q *deadQueue) ids(t *testing.T) []string {
	t.Helper()
	entries, err := q.rdb.XRange(t.Context(), votestream.DeadStream, "-", "+").Result()
	testenv.Must(t, err)
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestDeadListIsATableWithALineForEachEntry(t *testing.T) {
	q := newDeadQueue(t)
	if out, err := q.dead(t, "list"); err != nil || out != "no dead letters\n" {
		t.Errorf("of nothing: %q, %v", out, err)
	}
	q.add(t, "1-0", "invalid", "Invalid pet choice")
	q.add(t, "22-0", "too_many_deliveries", "first line\nsecond\tline")
	out, err := q.dead(t, "list")
	const id = `"` + voteID + `"`
	want := "" +
		"ID    FAILED AT             REASON               VOTE ID                                 VOTE     ERROR\n" +
		"1-0   2026-01-02T03:04:06Z  invalid              " + id + `  "birds"  Invalid pet choice` + "\n" +
		"22-0  2026-01-02T03:04:06Z  too_many_deliveries  " + id + `  "birds"  first line second line` + "\n"
	if err != nil || out != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}

func TestDeadListInJSONIsAnObjectOnEachLine(t *testing.T) {
	q := newDeadQueue(t)
	if out, err := q.dead(t, "list", "-json"); err != nil || out != "" {
		t.Errorf("of nothing: %q, %v", out, err)
	}
	q.add(t, "1-0", "invalid", "Invalid pet choice")
	q.add(t, "2-0", "rejected", "a\nb")
	const line = `{"id":"%s","reason":"%s","error":"%s","failed_at":"2026-01-02T03:04:06.5Z","fields":` +
		`{"cast_at":"2026-01-02T03:04:05Z","id":"` + voteID + `","traceparent":"","tracestate":"","vote":"birds"}}` + "\n"
	want := fmt.Sprintf(line+line, "1-0", "invalid", "Invalid pet choice", "2-0", "rejected", `a\nb`)
	if out, err := q.dead(t, "list", "-json"); err != nil || out != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}

func TestDeadListShowsThoseOfAnOlderVersion(t *testing.T) {
	q := newDeadQueue(t)
	q.add(t, "1-0", "invalid", "Invalid pet choice")
	testenv.Must(t, q.rdb.Rename(t.Context(), votestream.DeadStream, "votes:dead").Err())
	if out, err := q.dead(t, "list"); err != nil || !strings.Contains(out, "\n1-0 ") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestDeadReplayAndDropTakeTheNamedEntries(t *testing.T) {
	q := newDeadQueue(t)
	for _, id := range []string{"1-0", "2-0", "3-0", "4-0"} {
		q.add(t, id, "invalid", "Invalid pet choice")
	}
	if out, err := q.dead(t, "replay", "1-0", "3-0"); err != nil || out != "2 replayed\n" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := q.dead(t, "drop", "4-0"); err != nil || out != "1 dropped\n" {
		t.Errorf("%q, %v", out, err)
	}
	if left := q.ids(t); !slices.Equal(left, []string{"2-0"}) {
		t.Errorf("left: %v", left)
	}
	back, err := q.rdb.XRange(t.Context(), "votes", "-", "+").Result()
	if err != nil || len(back) != 2 {
		t.Fatalf("back in the stream: %v, %v", back, err)
	}
	want := map[string]any{}
	for field := range slices.Chunk(original, 2) {
		want[field[0]] = field[1]
	}
	for _, e := range back {
		if !maps.Equal(e.Values, want) {
			t.Errorf("replayed as %v, want %v", e.Values, want)
		}
	}
}

func TestDeadAllCoversAnyNumber(t *testing.T) {
	q := newDeadQueue(t)
	if out, err := q.dead(t, "drop", "-all"); err != nil || out != "0 dropped\n" {
		t.Errorf("of nothing: %q, %v", out, err)
	}
	const many = 2*deadPage + 1
	_, err := q.rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range many {
			p.XAdd(context.Background(),
				&redis.XAddArgs{Stream: votestream.DeadStream, ID: fmt.Sprintf("7-%d", i), Values: original})
		}
		return nil
	})
	testenv.Must(t, err)
	if out, err := q.dead(t, "list"); err != nil || strings.Count(out, "\n") != many+1 {
		t.Errorf("listed %d lines, %v", strings.Count(out, "\n"), err)
	}
	if out, err := q.dead(t, "replay", "-all"); err != nil || out != fmt.Sprintf("%d replayed\n", many) {
		t.Errorf("%q, %v", out, err)
	}
	if n, err := q.rdb.XLen(t.Context(), "votes").Result(); n != many || err != nil || len(q.ids(t)) > 0 {
		t.Errorf("%d back in the stream, %v; %d left", n, err, len(q.ids(t)))
	}
}

// slowLetters can't read more than a few dead letters in time.
type slowLetters int

func (s slowLetters) ListDeadLetters(_ context.Context, after string, n int64) ([]votestream.DeadLetter, error) {
	if n > 10 {
		return nil, fmt.Errorf("list dead letters: %w", os.ErrDeadlineExceeded)
	}
	read, _ := strconv.Atoi(after)
	letters := make([]votestream.DeadLetter, min(int(n), int(s)-read))
	for i := range letters {
		letters[i].ID = strconv.Itoa(read + i + 1)
	}
	return letters, nil
}

func TestAPageOfDeadLettersThatComesTooLateIsReadInSmallerOnes(t *testing.T) {
	n := 0
	err := walkDead(t.Context(), slowLetters(42), func(votestream.DeadLetter) error { n++; return nil })
	if n != 42 || err != nil {
		t.Errorf("%d letters, %v", n, err)
	}
}

func TestAnUnknownDeadLetterIsNamedAndTheOthersAreHandled(t *testing.T) {
	q := newDeadQueue(t)
	for _, command := range []string{"replay", "drop"} {
		q.add(t, "*", "invalid", "Invalid pet choice")
		known := q.ids(t)[0]
		part, _, _ := strings.Cut(known, "-") // to Redis a range of IDs
		bad := votestream.ErrBadEntryID
		for unknown, want := range map[string]error{"99-0": votestream.ErrNoDeadLetter, "abc": bad, part: bad} {
			out, err := q.dead(t, command, unknown)
			if err == nil || err.Error() != unknown+": "+want.Error() || !strings.HasPrefix(out, "0 ") {
				t.Errorf("%s %s: %q, %v", command, unknown, out, err)
			}
		}
		out, err := q.dead(t, command, "99-0", known)
		if !errors.Is(err, votestream.ErrNoDeadLetter) || !strings.HasPrefix(out, "1 ") {
			t.Errorf("%s: %q, %v", command, out, err)
		}
		if left := q.ids(t); len(left) > 0 {
			t.Errorf("%s left %v", command, left)
		}
	}
}

func TestDeadAnswersBadArgumentsWithItsUsage(t *testing.T) {
	q := newDeadQueue(t)
	q.add(t, "1-0", "invalid", "Invalid pet choice")
	for args, want := range map[string]string{
		"": "a command is missing", "show": `there is no command "show"`, "-h": `there is no command "-h"`,
		"list -h": "flag: help requested", "list -xml": "flag provided but not defined: -xml",
		"list 1-0": "list takes neither -all nor IDs", "list -all": "list takes neither -all nor IDs",
		"replay": "replay needs IDs, or -all", "drop": "drop needs IDs, or -all",
		"drop -all 1-0": "-all and IDs exclude each other", "drop 1-0 -all": "-all and IDs exclude each other",
		"replay -json 1-0": "replay does not take -json",
	} {
		out, err := q.dead(t, strings.Fields(args)...)
		if err == nil || !strings.HasPrefix(err.Error(), want+"\nusage: worker dead list [-json]") || out != "" {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
	if left := q.ids(t); !slices.Equal(left, []string{"1-0"}) {
		t.Errorf("left: %v", left)
	}
	for _, args := range []string{"dead --help", "dead help", "dead list -h", "dead drop -all -help", "migrate --help"} {
		if done, err := subcommand(t.Context(), strings.Fields(args), nil); !done || err != nil {
			t.Errorf("%s: done %v, %v", args, done, err)
		}
	}
}

func TestDeadReportsAnUnavailableRedis(t *testing.T) {
	q := newDeadQueue(t)
	q.environ[1] = "REDIS_PORT=1"
	if out, err := q.dead(t, "list"); err == nil || out != "" ||
		!strings.HasPrefix(err.Error(), "can't use Redis at 127.0.0.1:1, set by REDIS_HOST and REDIS_PORT") {
		t.Errorf("%q, %v", out, err)
	}
	q.environ[1] = "REDIS_PORT=none"
	if _, err := q.dead(t, "list"); err == nil || !strings.Contains(err.Error(), `REDIS_PORT="none"`) {
		t.Errorf("%v", err)
	}
}

func TestDeadLettersOfSeveralQueuesAreNamedByTheirQueue(t *testing.T) {
	one, two := newDeadQueue(t), newDeadQueue(t)
	one.add(t, "7-0", "invalid", "of the first")
	two.add(t, "7-0", "invalid", "of the second")
	two.add(t, "8-0", "invalid", "of the second")
	host := func(q *deadQueue) string { return q.rdb.Options().Addr }
	both := &deadQueue{environ: []string{"REDIS_HOST=" + host(one) + "," + host(two)}}
	out, err := both.dead(t, "list")
	if err != nil || !strings.Contains(out, "\n0/7-0 ") || !strings.Contains(out, "\n1/7-0 ") {
		t.Errorf("%s\n%v", out, err)
	}
	if out, err := both.dead(t, "replay", "1/7-0"); err != nil || out != "1 replayed\n" || len(two.ids(t)) != 1 {
		t.Errorf("%q, %v, left %v", out, err, two.ids(t))
	}
	if out, err := both.dead(t, "drop", "7-0", "2/7-0"); err == nil || out != "1 dropped\n" || len(one.ids(t)) != 0 {
		t.Errorf("%q, %v, left %v", out, err, one.ids(t))
	}
	half := &deadQueue{environ: []string{"REDIS_HOST=127.0.0.1:1," + host(two)}}
	out, err = half.dead(t, "list")
	if err == nil || !strings.Contains(err.Error(), "can't use Redis at 127.0.0.1:1") ||
		!strings.Contains(out, "\n1/8-0 ") {
		t.Errorf("with one down: %s\n%v", out, err)
	}
	if out, err := half.dead(t, "replay", "1/8-0"); err != nil || out != "1 replayed\n" {
		t.Errorf("of the one that is up: %q, %v", out, err)
	}
	out, err = half.dead(t, "drop", "-all")
	if err == nil || strings.Count(err.Error(), "\n") > 0 || out != "0 dropped\n" {
		t.Errorf("all with one down: %q, %v", out, err)
	}
}
