package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

func TestAcceptedAndStoredVotesAreComparedAsSets(t *testing.T) {
	id := func(n byte) uuid.UUID { return uuid.UUID{n} }
	answers := []Answer{
		{Vote: id(1), Pet: ballot.Dogs, Status: Accepted},
		{Vote: id(2), Pet: ballot.Dogs, Status: Accepted}, // not stored
		{Vote: id(3), Pet: ballot.Dogs, Status: Accepted}, // stored as another
		{Vote: id(4), Pet: ballot.Cats, Status: Refused}, {Vote: id(4), Pet: ballot.Cats, Status: Unknown},
		{Vote: id(4), Pet: ballot.Cats, Status: Accepted},
		{Vote: id(5), Pet: ballot.Cats, Status: Unknown}, // stored
		{Vote: id(6), Pet: ballot.Cats, Status: Unknown}, {Vote: id(6), Pet: ballot.Cats, Status: Refused},
		{Vote: id(7), Pet: ballot.Cats, Status: Refused}, // stored
		{Vote: id(8), Pet: ballot.Cats, Status: Refused},
	}
	stored := map[uuid.UUID]ballot.Choice{id(1): ballot.Dogs, id(3): ballot.Cats, id(4): ballot.Cats, id(5): ballot.Cats,
		id(7): ballot.Cats, id(99): ballot.Lizards}
	p := Compare(answers, stored)
	want := Proof{Sent: 8, Accepted: 4, Refused: 2, Unknown: 2, Retries: 3, Stored: 5, Lost: 2,
		RefusedStored: 1, UnknownStored: 1, UnknownNotStored: 1, LostIDs: []string{id(2).String(), id(3).String()}}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("%+v\nwant\n%+v", p, want)
	}
}

func TestAProofIsRefutedByEachThingThatDoesNotHold(t *testing.T) {
	holds := Proof{Sent: 10, Accepted: 9, Refused: 1, Stored: 9, Rows: 9,
		Tallied: ballot.Counts{Dogs: 9}, Shown: ballot.Counts{Dogs: 9}, Books: Books{Accepted: 9, Stored: 9}}
	if failures := holds.Refutes(); len(failures) > 0 {
		t.Fatalf("a proof that holds: %q", failures)
	}
	for name, spoil := range map[string]func(*Proof){
		"lost":      func(p *Proof) { p.Lost, p.LostIDs = 1, []string{"x"} },
		"more":      func(p *Proof) { p.CountedTwice = 1 },
		"fewer":     func(p *Proof) { p.NotCounted = 1 },
		"page":      func(p *Proof) { p.Shown = ballot.Counts{Cats: 9} },
		"books":     func(p *Proof) { p.Books.Difference = -1 },
		"wrong":     func(p *Proof) { p.WrongAnswer = "status 500" },
		"dead":      func(p *Proof) { p.DeadLetters = 1 },
		"backwards": func(p *Proof) { p.Backwards = 1 },
		"restarted": func(p *Proof) { p.Restarted = "vote" },
		"nothing":   func(p *Proof) { p.Accepted = 0 },
	} {
		p := holds
		spoil(&p)
		if failures := p.Refutes(); len(failures) != 1 || !strings.Contains(failures[0], name) {
			t.Errorf("%s: %q", name, failures)
		}
	}
}

func TestEveryAnswerIsInTheLog(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "answers.jsonl"))
	testenv.Must(t, err)
	l := New(log)
	want := []Answer{
		{Vote: uuid.New(), Pet: ballot.Dogs, Attempt: 1, Sent: 0.5, At: 0.75, Status: Refused, Code: 503, Error: "later"},
		{Vote: uuid.New(), Pet: ballot.Cats, Attempt: 2, Status: Accepted, Code: 200, TraceID: "t"},
	}
	for _, a := range want {
		l.Add(a)
	}
	testenv.Must(t, errors.Join(l.logged(), log.Close()))
	text, err := os.ReadFile(log.Name())
	testenv.Must(t, err)
	var got []Answer
	for line := range bytes.Lines(text) {
		var a Answer
		testenv.Must(t, json.Unmarshal(line, &a))
		got = append(got, a)
	}
	if !slices.Equal(got, want) || !slices.Equal(l.Answers(), want) || l.Count(Refused) != 1 {
		t.Errorf("%+v", got)
	}
	l.Add(want[0]) // to a closed file
	if l.logged() == nil {
		t.Error("a log that has lost an answer is no error")
	}
}
