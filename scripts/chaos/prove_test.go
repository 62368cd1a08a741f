package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"petvote/shared/ballot"
)

func TestWhatWasAcceptedIsComparedWithWhatIsStoredAsSets(t *testing.T) {
	id := func(n byte) uuid.UUID { return uuid.UUID{n} }
	answers := []answer{
		{Vote: id(1), Pet: ballot.Dogs, Status: accepted},
		{Vote: id(2), Pet: ballot.Dogs, Status: accepted}, // not stored
		{Vote: id(3), Pet: ballot.Dogs, Status: accepted}, // stored as another
		{Vote: id(4), Pet: ballot.Cats, Status: refused}, {Vote: id(4), Pet: ballot.Cats, Status: unknown}, {Vote: id(4), Pet: ballot.Cats, Status: accepted},
		{Vote: id(5), Pet: ballot.Cats, Status: unknown}, // stored
		{Vote: id(6), Pet: ballot.Cats, Status: unknown}, {Vote: id(6), Pet: ballot.Cats, Status: refused},
		{Vote: id(7), Pet: ballot.Cats, Status: refused}, // stored
		{Vote: id(8), Pet: ballot.Cats, Status: refused},
	}
	stored := map[uuid.UUID]ballot.Choice{id(1): ballot.Dogs, id(3): ballot.Cats, id(4): ballot.Cats, id(5): ballot.Cats, id(7): ballot.Cats, id(99): ballot.Lizards}
	p := compare(answers, stored)
	want := proof{Sent: 8, Accepted: 4, Refused: 2, Unknown: 2, Retries: 3, Stored: 5, Lost: 2, RefusedStored: 1, UnknownStored: 1, UnknownNotStored: 1,
		LostIDs: []string{id(2).String(), id(3).String()}}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("%+v\nwant\n%+v", p, want)
	}
}

func TestAProofIsRefutedByEachThingThatDoesNotHold(t *testing.T) {
	holds := proof{Sent: 10, Accepted: 9, Refused: 1, Stored: 9, Rows: 9, Tally: 9, OnScreen: 9,
		Tallied: ballot.Counts{Dogs: 9}, Shown: ballot.Counts{Dogs: 9}, Books: books{Accepted: 9, Stored: 9}}
	if failures := holds.refutes(); len(failures) > 0 {
		t.Fatalf("a proof that holds: %q", failures)
	}
	for name, spoil := range map[string]func(*proof){
		"lost":      func(p *proof) { p.Lost, p.LostIDs = 1, []string{"x"} },
		"more":      func(p *proof) { p.CountedTwice = 1 },
		"fewer":     func(p *proof) { p.NotCounted = 1 },
		"page":      func(p *proof) { p.Shown = ballot.Counts{Cats: 9} },
		"books":     func(p *proof) { p.Books.Difference = -1 },
		"dead":      func(p *proof) { p.DeadLetters = 1 },
		"backwards": func(p *proof) { p.Backwards = 1 },
		"again":     func(p *proof) { p.Restarted = "vote" },
		"nothing":   func(p *proof) { p.Accepted = 0 },
	} {
		p := holds
		spoil(&p)
		if failures := p.refutes(); len(failures) != 1 || !strings.Contains(failures[0], name) {
			t.Errorf("%s: %q", name, failures)
		}
	}
}
