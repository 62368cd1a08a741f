package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"petvote/shared/ballot"
	"petvote/shared/web"
)

// leader says in a sentence who leads, and in a few words for the title of the page. leader.js says the same.
func leader(c ballot.Counts) (sentence, title string) {
	total := c.Total()
	if total == 0 {
		return "No votes yet.", "No votes yet"
	}
	pets := ballot.Choices()
	slices.SortStableFunc(pets, func(a, b ballot.Choice) int { return cmp.Compare(c.Of(b), c.Of(a)) })
	first := with(pets, c, c.Of(pets[0]))
	if len(first) == len(pets) {
		return web.Label(names(first)) + " are level.", "All level"
	}
	if len(first) > 1 {
		title = web.Label(names(first)) + " share the lead"
		return fmt.Sprintf("%s, with %s\u00a0%% each.", title, share(c.Of(pets[0]), total)), title
	}
	ahead := c.Of(pets[0]) - c.Of(pets[1])
	noun := "votes"
	if ahead == 1 {
		noun = "vote"
	}
	title = web.Label(string(pets[0])) + " lead"
	return fmt.Sprintf("%s with %s\u00a0%%, %s %s ahead of %s.",
		title, share(c.Of(pets[0]), total), ballot.Digits(ahead), noun, names(with(pets[1:], c, c.Of(pets[1])))), title
}

// with gives those of pets that have n votes.
func with(pets []ballot.Choice, c ballot.Counts, n int64) []ballot.Choice {
	return slices.DeleteFunc(slices.Clone(pets), func(p ballot.Choice) bool { return c.Of(p) != n })
}

// names lists pets as a sentence does: "dogs, cats and lizards".
func names(pets []ballot.Choice) string {
	words := make([]string, len(pets))
	for i, p := range pets {
		words[i] = string(p)
	}
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
