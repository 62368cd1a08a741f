package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain also lets the test program be the naive worker, as the real program does: the local target starts itself for it.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == naiveCommand {
		if err := naiveWorker(context.Background(), os.Environ()); err != nil {
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// chaos runs the whole program from the root of the repository and returns the record that it has written.
func chaos(t *testing.T, ctx context.Context, args ...string) (int, record, string) {
	t.Helper()
	t.Chdir(filepath.Join("..", ".."))
	folder := t.TempDir()
	var out, progress bytes.Buffer
	code := run(ctx, append([]string{"-target", "local", "-report", folder}, args...), &out, &progress)
	if t.Failed() || testing.Verbose() {
		t.Logf("%s\n%s", &progress, &out)
	}
	var r record
	text, err := os.ReadFile(filepath.Join(folder, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatalf("exit status %d: %v\n%s\n%s", code, err, &progress, &out)
	}
	for _, file := range []string{"report.html", "answers.jsonl"} {
		if info, err := os.Stat(filepath.Join(folder, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	return code, r, progress.String()
}

func TestTheRealWorkerLosesNothingAndEveryWoundHeals(t *testing.T) {
	code, r, said := chaos(t, t.Context(), "-scenario", "kill-postgres,cut-vote-redis,crash-after-commit", "-rate", "150")
	if code != 0 || !r.Passed || len(r.Scenarios) != 3 {
		t.Fatalf("exit status %d, %d scenarios\n%s\n%s", code, len(r.Scenarios), said, &r)
	}
	for _, o := range r.Scenarios {
		p := o.Proof
		if p.Accepted == 0 || p.Lost != 0 || p.CountedTwice != 0 || p.Books.Difference != 0 || p.OnScreen != p.Rows || len(o.Timeline) == 0 {
			t.Errorf("%s: %+v", o.Name, p)
		}
	}
	if refused := r.Scenarios[1].Proof.Refused; refused == 0 {
		t.Error("no vote was refused while Redis was cut off")
	}
	if breakers := r.Scenarios[0].Episodes; !hasSpell(breakers, "worker", "breaker postgres", "open") {
		t.Errorf("nothing shows that the worker's breaker opened: %+v", breakers)
	}
}

func hasSpell(spells []spell, service, what, state string) bool {
	for _, s := range spells {
		if s.Service == service && s.What == what && s.State == state && s.To > s.From {
			return true
		}
	}
	return false
}

func TestTheNaiveWorkerIsCaught(t *testing.T) {
	code, r, said := chaos(t, t.Context(), "-scenario", "kill-postgres", "-rate", "150", "-worker", "naive")
	if code != 1 || r.Passed || len(r.Scenarios) != 1 {
		t.Fatalf("exit status %d\n%s", code, said)
	}
	p := r.Scenarios[0].Proof
	if p.Lost == 0 || len(p.LostIDs) != p.Lost || p.Books.Difference == 0 {
		t.Errorf("a worker that pops and then writes lost %d of %d, the books differ by %d", p.Lost, p.Accepted, p.Books.Difference)
	}
}

func TestVotesThatAreSentAgainUnderTheirKeyAreAllAcceptedInTheEndAndCountOnce(t *testing.T) {
	code, r, said := chaos(t, t.Context(), "-scenario", "kill-redis", "-rate", "100", "-retry")
	p := r.Scenarios[0].Proof
	if code != 0 || p.Retries == 0 || p.Accepted != p.Sent || p.Stored != p.Sent {
		t.Errorf("exit status %d, %+v\n%s", code, p, said)
	}
}

func TestAnInterruptUndoesTheFaultsAndStillProves(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	begun := &trigger{word: "pause worker begins", pull: cancel}
	t.Chdir(filepath.Join("..", ".."))
	folder := t.TempDir()
	var out bytes.Buffer
	if code := run(ctx, []string{"-target", "local", "-report", folder, "-scenario", "pause-worker,kill-redis", "-rate", "50"}, &out, begun); code != 1 {
		t.Errorf("exit status %d", code)
	}
	text, err := os.ReadFile(filepath.Join(folder, "report.json"))
	var r record
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil || !r.Interrupted || len(r.Scenarios) != 1 || !r.Scenarios[0].Passed || r.Scenarios[0].Proof.Lost != 0 || r.Scenarios[0].Proof.Accepted == 0 {
		t.Errorf("%v, %+v\n%s", err, r, &begun.said)
	}
}

// trigger calls pull once a word is written to it.
type trigger struct {
	word string
	pull func()
	said bytes.Buffer
}

func (w *trigger) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.word) {
		w.pull()
	}
	return w.said.Write(p)
}

func TestWhyItCanNotStartIsSaid(t *testing.T) {
	var out, said bytes.Buffer
	t.Chdir(t.TempDir())
	if code := run(t.Context(), []string{"-target", "local"}, &out, &said); code != 1 || !strings.Contains(said.String(), "root of the repository") {
		t.Errorf("in another folder: exit status %d, %s", code, &said)
	}
}

func TestAnInterruptOfTheStartLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	said := &trigger{word: "starting Redis", pull: cancel}
	t.Chdir(filepath.Join("..", ".."))
	var out bytes.Buffer
	if code := run(ctx, []string{"-target", "local"}, &out, said); code != 1 || !strings.Contains(said.said.String(), "interrupted") {
		t.Errorf("exit status %d, %s", code, &said.said)
	}
}

func TestArgumentsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-target", "moon"}, {"-worker", "lazy"}, {"-worker", "naive"}, {"-rate", "0"}, {"-scenario", "kill-everyone"}, {"-seed", "3"},
		{"-random", "1s"}, {"-random", "1m", "-scenario", "all"}, {"-project", ""}, {"-project", "x", "-target", "local"}, {"-jaeger", "not a url"}, {"-accept-within", "0s"}, {"more"},
	} {
		var said bytes.Buffer
		if code := run(t.Context(), args, &bytes.Buffer{}, &said); code != 2 || said.Len() == 0 {
			t.Errorf("%q: exit status %d, %s", args, code, &said)
		}
	}
	var help, list bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, &bytes.Buffer{}, &help); code != 0 || !strings.Contains(help.String(), "Usage:") {
		t.Errorf("-help: exit status %d, %s", code, &help)
	}
	if code := run(t.Context(), []string{"-list"}, &list, &help); code != 0 || strings.Count(list.String(), "\n") != len(scenarios()) {
		t.Errorf("-list: exit status %d, %s", code, &list)
	}
}
