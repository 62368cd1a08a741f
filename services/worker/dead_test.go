package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"petvote/infra/testenv"
	"petvote/shared/votestream"
)

// graveyard is a Redis with dead letters in it.
type graveyard struct {
	rdb     *redis.Client
	environ []string
}

func newGraveyard(t *testing.T) *graveyard {
	t.Helper()
	server := testenv.NewRedis(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	return &graveyard{rdb, []string{"REDIS_HOST=" + server.Host(), "REDIS_PORT=" + strconv.Itoa(server.Port())}}
}

const voteID = "0190a6f0-7b7e-7c3a-9d2e-4b5f6a7c8d9e"

// original is what a dead letter was as a vote.
var original = []string{"id", voteID, "vote", "birds", "cast_at", "2026-01-02T03:04:05Z", "traceparent", "", "tracestate", ""}

// bury adds a dead letter in the form that the contract gives.
func (g *graveyard) bury(t *testing.T, id, reason, message string) {
	t.Helper()
	fields := append(slices.Clone(original), "reason", reason, "error", message, "failed_at", "2026-01-02T03:04:06.5Z")
	if err := g.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "votes:dead", ID: id, Values: fields}).Err(); err != nil {
		t.Fatal(err)
	}
}

func (g *graveyard) dead(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := deadLetters(t.Context(), args, g.environ, &out)
	return out.String(), err
}

func (g *graveyard) ids(t *testing.T) []string {
	t.Helper()
	entries, err := g.rdb.XRange(t.Context(), "votes:dead", "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestDeadListIsATableWithALineForEachEntry(t *testing.T) {
	g := newGraveyard(t)
	if out, err := g.dead(t, "list"); err != nil || out != "no dead letters\n" {
		t.Errorf("of nothing: %q, %v", out, err)
	}
	g.bury(t, "1-0", "invalid", "Invalid pet choice")
	g.bury(t, "22-0", "too_many_deliveries", "first line\nsecond\tline")
	out, err := g.dead(t, "list")
	want := "" +
		`ID    FAILED AT             REASON               VOTE ID                                 VOTE     ERROR` + "\n" +
		`1-0   2026-01-02T03:04:06Z  invalid              "0190a6f0-7b7e-7c3a-9d2e-4b5f6a7c8d9e"  "birds"  Invalid pet choice` + "\n" +
		`22-0  2026-01-02T03:04:06Z  too_many_deliveries  "0190a6f0-7b7e-7c3a-9d2e-4b5f6a7c8d9e"  "birds"  first line second line` + "\n"
	if err != nil || out != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}

func TestDeadListForProgramsIsOneObjectOnEachLine(t *testing.T) {
	g := newGraveyard(t)
	if out, err := g.dead(t, "list", "-json"); err != nil || out != "" {
		t.Errorf("of nothing: %q, %v", out, err)
	}
	g.bury(t, "1-0", "invalid", "Invalid pet choice")
	g.bury(t, "2-0", "rejected", "a\nb")
	const line = `{"id":"%s","reason":"%s","error":"%s","failed_at":"2026-01-02T03:04:06.5Z","fields":` +
		`{"cast_at":"2026-01-02T03:04:05Z","id":"` + voteID + `","traceparent":"","tracestate":"","vote":"birds"}}` + "\n"
	want := fmt.Sprintf(line+line, "1-0", "invalid", "Invalid pet choice", "2-0", "rejected", `a\nb`)
	if out, err := g.dead(t, "list", "-json"); err != nil || out != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}

func TestDeadReplayPutsEntriesBackAsTheyWere(t *testing.T) {
	g := newGraveyard(t)
	for _, id := range []string{"1-0", "2-0", "3-0"} {
		g.bury(t, id, "invalid", "Invalid pet choice")
	}
	if out, err := g.dead(t, "replay", "1-0", "3-0"); err != nil || out != "2 replayed\n" {
		t.Errorf("%q, %v", out, err)
	}
	if left := g.ids(t); !slices.Equal(left, []string{"2-0"}) {
		t.Errorf("left: %v", left)
	}
	back, err := g.rdb.XRange(t.Context(), "votes", "-", "+").Result()
	if err != nil || len(back) != 2 {
		t.Fatalf("back in the stream: %v, %v", back, err)
	}
	for _, e := range back {
		if len(e.Values) != len(original)/2 {
			t.Errorf("replayed as %v", e.Values)
		}
		for i := 0; i < len(original); i += 2 {
			if e.Values[original[i]] != original[i+1] {
				t.Errorf("%s replayed as %q, want %q", original[i], e.Values[original[i]], original[i+1])
			}
		}
	}
}

func TestDeadDropDeletesAndPutsNothingBack(t *testing.T) {
	g := newGraveyard(t)
	g.bury(t, "1-0", "invalid", "Invalid pet choice")
	g.bury(t, "2-0", "invalid", "Invalid pet choice")
	if out, err := g.dead(t, "drop", "1-0"); err != nil || out != "1 dropped\n" {
		t.Errorf("%q, %v", out, err)
	}
	if left := g.ids(t); !slices.Equal(left, []string{"2-0"}) {
		t.Errorf("left: %v", left)
	}
	if n, err := g.rdb.XLen(t.Context(), "votes").Result(); n != 0 || err != nil {
		t.Errorf("%d votes in the stream, %v", n, err)
	}
}

func TestDeadAllMeansEachOneHoweverMany(t *testing.T) {
	g := newGraveyard(t)
	if out, err := g.dead(t, "drop", "-all"); err != nil || out != "0 dropped\n" {
		t.Errorf("of nothing: %q, %v", out, err)
	}
	const many = 2*deadPage + 1
	_, err := g.rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range many {
			p.XAdd(context.Background(), &redis.XAddArgs{Stream: "votes:dead", ID: fmt.Sprintf("7-%d", i), Values: original})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := g.dead(t, "list"); err != nil || strings.Count(out, "\n") != many+1 {
		t.Errorf("listed %d lines, %v", strings.Count(out, "\n"), err)
	}
	if out, err := g.dead(t, "replay", "-all"); err != nil || out != fmt.Sprintf("%d replayed\n", many) {
		t.Errorf("%q, %v", out, err)
	}
	if n, err := g.rdb.XLen(t.Context(), "votes").Result(); n != many || err != nil || len(g.ids(t)) > 0 {
		t.Errorf("%d back in the stream, %v; %d left", n, err, len(g.ids(t)))
	}
}

func TestAnUnknownDeadLetterIsNamedAndDoesNotKeepTheOthers(t *testing.T) {
	g := newGraveyard(t)
	for _, command := range []string{"replay", "drop"} {
		g.bury(t, "*", "invalid", "Invalid pet choice")
		known := g.ids(t)[0]
		out, err := g.dead(t, command, "99-0", known)
		if !errors.Is(err, votestream.ErrNoDeadLetter) || !strings.HasPrefix(err.Error(), "99-0: ") || !strings.HasPrefix(out, "1 ") {
			t.Errorf("%s: %q, %v", command, out, err)
		}
		if left := g.ids(t); len(left) > 0 {
			t.Errorf("%s left %v", command, left)
		}
	}
}

func TestWhatDeadDoesNotUnderstandIsAnsweredWithItsUsage(t *testing.T) {
	g := newGraveyard(t)
	g.bury(t, "1-0", "invalid", "Invalid pet choice")
	for _, args := range [][]string{
		nil, {"show"}, {"-h"}, {"list", "-h"}, {"list", "-xml"}, {"list", "1-0"}, {"list", "-all"}, {"replay"}, {"drop"}, {"drop", "-all", "1-0"}, {"replay", "-json", "1-0"},
	} {
		if out, err := g.dead(t, args...); err == nil || !strings.Contains(err.Error(), "usage: worker dead list [-json]") || out != "" {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
	if left := g.ids(t); !slices.Equal(left, []string{"1-0"}) {
		t.Errorf("left: %v", left)
	}
}

func TestDeadSaysWhenRedisIsNotThere(t *testing.T) {
	g := newGraveyard(t)
	g.environ[1] = "REDIS_PORT=1"
	if out, err := g.dead(t, "list"); err == nil || !strings.Contains(err.Error(), "connection refused") || out != "" {
		t.Errorf("%q, %v", out, err)
	}
	g.environ[1] = "REDIS_PORT=none"
	if _, err := g.dead(t, "list"); err == nil || !strings.Contains(err.Error(), `REDIS_PORT="none"`) {
		t.Errorf("%v", err)
	}
}
