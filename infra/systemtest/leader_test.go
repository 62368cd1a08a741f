package systemtest

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"petvote/shared/ballot"
)

// headlines are the words and shares on a page.
type headlines struct {
	Leader, Title string
	Shares        [3]string
}

func readHeadlines(p *tab) (headlines, error) {
	return look[headlines](p, `({
		Leader: document.getElementById('leader').textContent, Title: document.title,
		Shares: ['dogs', 'cats', 'lizards'].map((pet) => document.querySelector('[data-share=' + pet + ']').textContent),
	})`)
}

func TestBrowserTheLeaderAndTheTitleFollowTheVotesAsOnTheServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	results, plain := r.open(b, r.Result.URL("/")), r.open(b, r.Result.URL("/"), withoutJavaScript)
	until(results, readResultPage, live)
	for _, step := range []struct {
		pet           ballot.Choice // gets the next vote
		leader, title string
	}{
		{"", "No votes yet.", "No votes yet"},
		{ballot.Dogs, "Dogs lead with 100.0\u00a0%, 1 vote ahead of cats and lizards.", "Dogs lead"},
		{ballot.Cats, "Dogs and cats share the lead, with 50.0\u00a0% each.", "Dogs and cats share the lead"},
		{ballot.Lizards, "Dogs, cats and lizards are level.", "All level"},
		{ballot.Lizards, "Lizards lead with 50.0\u00a0%, 1 vote ahead of dogs and cats.", "Lizards lead"},
		{ballot.Cats, "Cats and lizards share the lead, with 40.0\u00a0% each.", "Cats and lizards share the lead"},
	} {
		if step.pet != "" {
			r.vote(step.pet)
		}
		until(results, readHeadlines, func(h headlines) bool {
			return h.Leader == step.leader && h.Title == step.title+" · petvote"
		})
	}

	// The browser's own words for any tally, by both modules as they were served to this page.
	const load = `(async () => {
		const served = (name) => import(document.querySelector('link[rel=modulepreload][href*="/' + name + '."]').href);
		const { leader } = await served('leader'), { PETS, share } = await served('counts');
		window.say = (votes) => {
			const { sentence, title } = leader(votes), total = PETS.reduce((sum, pet) => sum + votes[pet], 0);
			return { Leader: sentence, Title: title + ' · petvote', Shares: PETS.map((pet) => share(votes[pet], total)) };
		};
	})()`
	results.do(chromedp.Evaluate[chromedp.Void](load+".then(() => undefined)", chromedp.EvalAwaitPromise))

	for _, c := range []ballot.Counts{
		{},
		{Lizards: 1},
		{Dogs: 7, Cats: 7, Lizards: 7},
		{Cats: 12_345, Lizards: 12_345},
		{Dogs: 2, Cats: 1, Lizards: 1},
		{Dogs: 1, Cats: 1_000_000_000_000, Lizards: 999_998_999_999},
		{Dogs: 333, Cats: 333, Lizards: 334},
		{Dogs: 9, Cats: 4, Lizards: 3},           // 56.25 %, between two decimals, and so 18.75 %
		{Dogs: 1, Cats: 6, Lizards: 9},           // the same for 6.25 % and 56.25 %
		{Dogs: 3, Cats: 1, Lizards: 1_996},       // 0.15 % and 0.05 %, which no binary fraction is
		{Dogs: 1_001, Cats: 1, Lizards: 998},     // 50.05 %
		{Dogs: 2_001, Cats: 1_999, Lizards: 0},   // 50.025 % and 49.975 %
		{Dogs: 1_999, Cats: 1, Lizards: 0},       // 99.95 %
		{Dogs: 19_999, Cats: 0, Lizards: 1},      // 99.995 %
		{Dogs: 65_537, Cats: 65_536, Lizards: 1}, // one vote ahead
	} {
		r.setTally(c)
		plain.reload() // as the server writes it
		want := until(plain, readHeadlines, func(headlines) bool { return true })
		votes := fmt.Sprintf(`{ dogs: %d, cats: %d, lizards: %d }`, c.Dogs, c.Cats, c.Lizards)
		got, err := look[headlines](results, "say("+votes+")")
		if err != nil || got != want {
			t.Errorf("%+v: the page says %+v, the server %+v; %v", c, got, want, err)
		}
	}
	r.clean(results, plain)
}
