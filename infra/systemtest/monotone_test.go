package systemtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"petvote/shared/ballot"
)

// recordTotals makes a page record every total that it shows from now on.
const recordTotals = `(() => {
	const total = document.getElementById('total'), shown = () => Number(total.textContent.replaceAll(',', ''));
	window.totals = [shown()];
	new MutationObserver(() => totals.push(shown())).observe(total, { childList: true, subtree: true });
})()`

func TestBrowserNumbersNeverRunBackwardsButBeginAnewWithTheDatabase(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	results := r.open(b, r.Result.URL("/"))
	until(results, readResultPage, live)
	rate := func(least, most float64) { // of votes per second
		t.Helper()
		until(results, func(p *tab) (string, error) {
			return look[string](p, `document.getElementById('rate').textContent`)
		}, func(text string) bool {
			var rate float64
			_, err := fmt.Sscanf(strings.ReplaceAll(text, ",", ""), "%g", &rate)
			return err == nil && rate >= least && rate <= most
		})
	}
	rate(0, 0)
	results.run(recordTotals)
	r.during(50, func() {
		rate(5, 100) // the machine may be too busy for all votes
		for range 3 {
			shown, err := readResultPage(results)
			r.must(err)
			r.bounce(r.Result, 300*time.Millisecond)
			until(results, readResultPage, func(v resultPage) bool { return live(v) && v.Counts.Total() > shown.Counts.Total() })
		}
	})
	r.audit()
	stored := int64(len(r.stored()))
	until(results, readResultPage, func(v resultPage) bool { return live(v) && v.Counts.Total() == stored })
	totals, err := look[[]float64](results, `totals`)
	r.must(err)
	// One total before the votes, at least one of the rate, and one after each bounce; how many more is chance.
	if len(totals) < 5 || !slices.IsSorted(totals) || totals[len(totals)-1] != float64(stored) {
		t.Errorf("of %d votes the page has shown these numbers: %v", stored, totals)
	}
	rate(0, 0)

	r.sql(`truncate votes, history`)
	r.setTally(ballot.Counts{})
	until(results, readResultPage, func(v resultPage) bool {
		return live(v) && v.Total == "0" && v.Counts == ballot.Counts{} && v.Bars["dogs"] == 0
	})
	until(results, readHeadlines, func(h headlines) bool { return h.Leader == "No votes yet." })
	// Also where the new count as a whole is ahead of the old one already.
	for _, c := range []ballot.Counts{{Cats: 1}, {Dogs: 300, Cats: 10, Lizards: 5}, {Dogs: 200, Cats: 200, Lizards: 200}} {
		r.setTally(c)
		until(results, readResultPage, func(v resultPage) bool { return v.Counts == c && v.Total == fmt.Sprint(c.Total()) })
	}
	results.quiet()

	// A push that is behind is not shown. The page sees nothing but the pushes: the answers to its requests, which would
	// say that these numbers are the newest, never come.
	last := r.open(b, r.Result.URL("/"))
	until(last, readResultPage, func(v resultPage) bool { return live(v) && v.Total == "600" })
	last.run(recordTotals + "; window.fetch = () => new Promise(() => {})")
	r.setTally(ballot.Counts{Dogs: 199, Cats: 200, Lizards: 200})
	r.setTally(ballot.Counts{Dogs: 100, Cats: 900})
	r.setTally(ballot.Counts{Dogs: 201, Cats: 200, Lizards: 200})
	until(last, readResultPage, func(v resultPage) bool { return v.Total == "601" })
	if totals, err := look[[]int](last, `totals`); err != nil || !slices.Equal(totals, []int{600, 601}) {
		t.Errorf("the page has shown these numbers: %v, %v", totals, err)
	}
	r.clean(last)
}
