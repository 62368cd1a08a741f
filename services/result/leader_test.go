package main

import (
	"testing"

	"petvote/shared/ballot"
)

func TestTheLeaderIsToldInWords(t *testing.T) {
	for counts, want := range map[ballot.Counts][2]string{
		{}:                                     {"No votes yet.", "No votes yet"},
		{Dogs: 2, Cats: 2, Lizards: 2}:         {"Dogs, cats and lizards are level.", "All level"},
		{Cats: 2, Lizards: 2}:                  {"Cats and lizards share the lead, with 50.0\u00a0% each.", "Cats and lizards share the lead"},
		{Lizards: 1}:                           {"Lizards lead with 100.0\u00a0%, 1 vote ahead of dogs and cats.", "Lizards lead"},
		{Cats: 99999, Lizards: 1}:              {"Cats lead with >99.9\u00a0%, 99,998 votes ahead of lizards.", "Cats lead"},
		{Dogs: 9, Cats: 4, Lizards: 3}:         {"Dogs lead with 56.3\u00a0%, 5 votes ahead of cats.", "Dogs lead"}, // of 56.25
		{Dogs: 5000, Cats: 1000, Lizards: 999}: {"Dogs lead with 71.4\u00a0%, 4,000 votes ahead of cats.", "Dogs lead"},
	} {
		if sentence, title := leader(counts); sentence != want[0] || title != want[1] {
			t.Errorf("%+v: %q, %q", counts, sentence, title)
		}
	}
}
