package systemtest

import (
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"petvote/shared/ballot"
)

// recordTotals has a page remember every total that it shows from now on.
const recordTotals = `(() => {
	const total = document.getElementById('total'), shown = () => Number(total.textContent.replaceAll(',', ''));
	window.totals = [shown()];
	new MutationObserver(() => totals.push(shown())).observe(total, { childList: true, characterData: true, subtree: true });
})()`

func TestBrowserNumbersNeverRunBackwardsButBeginAnewWithTheDatabase(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	results := r.open(r.browser(), r.Result.URL("/"))
	until(results, readResultPage, live)
	results.do(chromedp.Evaluate[chromedp.Void](recordTotals + "; undefined"))
	r.during(100, func() {
		grown := func(from int64) int64 {
			return until(results, readResultPage, func(v resultPage) bool { return live(v) && v.Counts.Total() > from }).Counts.Total()
		}
		for shown := grown(0); shown < 500; shown = grown(shown + 50) {
			r.bounce(r.Result, 300*time.Millisecond)
			shown = grown(shown)
		}
	})
	r.audit()
	stored := int64(len(r.stored()))
	until(results, readResultPage, func(v resultPage) bool { return live(v) && v.Counts.Total() == stored })
	totals, err := look[[]float64](results, `totals`)
	r.must(err)
	if len(totals) < 10 || !slices.IsSorted(totals) || totals[len(totals)-1] != float64(stored) {
		t.Errorf("of %d votes the page has shown these numbers: %v", stored, totals)
	}

	r.sql(`truncate votes, history`, `update tally set votes = 0`)
	until(results, readResultPage, func(v resultPage) bool {
		return live(v) && v.Total == "0" && v.Counts == ballot.Counts{} && v.Bars["dogs"] == 0
	})
	until(results, readHeadlines, func(h headlines) bool { return h.Leader == "No votes yet." })
	r.votes(ballot.Cats)
	until(results, readResultPage, func(v resultPage) bool { return v.Total == "1" && v.Counts == ballot.Counts{Cats: 1} })
	// Also where the new count as a whole is ahead of the old one already.
	r.setTally(ballot.Counts{Dogs: 300, Cats: 10, Lizards: 5})
	until(results, readResultPage, func(v resultPage) bool { return v.Total == "315" })
	anew := ballot.Counts{Dogs: 200, Cats: 200, Lizards: 200}
	r.setTally(anew)
	until(results, readResultPage, func(v resultPage) bool { return v.Counts == anew })
	if problems, _ := results.found(); len(problems) > 0 {
		t.Errorf("on the page: %v", problems)
	}
}

func TestBrowserAPushThatIsBehindIsNotShown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	results := r.open(r.browser(), r.Result.URL("/"))
	until(results, readResultPage, live)
	r.setTally(ballot.Counts{Dogs: 3})
	until(results, readResultPage, func(v resultPage) bool { return v.Total == "3" })
	// The page is told by the push alone: what it asks for, which would say that these numbers are the newest, never comes.
	results.do(chromedp.Evaluate[chromedp.Void](recordTotals + "; window.fetch = () => new Promise(() => {}); undefined"))
	for _, c := range []ballot.Counts{{Dogs: 2}, {Dogs: 1, Cats: 9}, {Dogs: 4}} {
		r.setTally(c)
	}
	until(results, readResultPage, func(v resultPage) bool { return v.Total == "4" })
	if totals, err := look[[]int](results, `totals`); err != nil || !slices.Equal(totals, []int{3, 4}) {
		t.Errorf("the page has shown these numbers: %v, %v", totals, err)
	}
	r.clean(results)
}
