package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"petvote/shared/ballot"
	"petvote/shared/web"
)

// leader names the leader in a sentence, and in a few words for the title of the page. leader.js does the same.
func leader(c ballot.Counts) (sentence, title string) {
	total := c.Total()
	if total == 0 {
		return "No votes yet.", "No votes yet"
	}
	pets := map[int64][]string{} // by their votes
	for _, pet := range ballot.Choices() {
		pets[c.Of(pet)] = append(pets[c.Of(pet)], string(pet))
	}
	votes := slices.Sorted(maps.Keys(pets))
	most := votes[len(votes)-1]
	first := web.Label(list(pets[most]))
	_, part := share(most, total)
	if len(votes) == 1 {
		return first + " are level.", "All level"
	}
	if len(pets[most]) > 1 {
		title = first + " share the lead"
		return fmt.Sprintf("%s, with %s\u00a0%% each.", title, part), title
	}
	second := votes[len(votes)-2]
	noun := "votes"
	if most-second == 1 {
		noun = "vote"
	}
	title = first + " lead"
	return fmt.Sprintf("%s with %s\u00a0%%, %s %s ahead of %s.",
		title, part, ballot.Digits(most-second), noun, list(pets[second])), title
}

// list joins words as a sentence does: "dogs, cats and lizards".
func list(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
