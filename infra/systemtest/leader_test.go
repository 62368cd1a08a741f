package systemtest

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"petvote/shared/ballot"
)

// headlines is what a page says of the votes, in words and shares.
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

func TestBrowserTheLeaderAndTheTitleFollowTheVotes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	results := r.open(r.browser(), r.Result.URL("/"))
	until(results, readResultPage, live)
	for _, step := range []struct {
		pet           ballot.Choice // who gets the next vote
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
			r.votes(step.pet)
		}
		until(results, readHeadlines, func(h headlines) bool { return h.Leader == step.leader && h.Title == step.title+" · petvote" })
	}
	r.clean(results)
}

// setTally puts counts into the database, and waits until the result service has them.
func (r *rig) setTally(c ballot.Counts) {
	r.t.Helper()
	r.sql(fmt.Sprintf(`update tally set votes = case pet when 'dogs' then %d when 'cats' then %d else %d end`, c.Dogs, c.Cats, c.Lizards),
		`select pg_notify('tally_changed', '')`)
	r.shown(c)
}

var (
	leaderElement = regexp.MustCompile(`<p id="leader"[^>]*>([^<]*)</p>`)
	titleElement  = regexp.MustCompile(`<title>([^<]*)</title>`)
	shareElement  = regexp.MustCompile(`<span data-share="[a-z]+">([^<]*)</span>`)
)

// served is what the server has written into the page.
func (r *rig) served() headlines {
	r.t.Helper()
	resp, err := http.Get(r.Result.URL("/"))
	r.must(err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	r.must(err)
	first := func(e *regexp.Regexp) string {
		m := e.FindSubmatch(page)
		if m == nil {
			r.t.Fatalf("the page has nothing like %v:\n%s", e, page)
		}
		return html.UnescapeString(string(m[1]))
	}
	h := headlines{Leader: first(leaderElement), Title: first(titleElement)}
	for i, m := range shareElement.FindAllSubmatch(page, 3) {
		h.Shares[i] = html.UnescapeString(string(m[1]))
	}
	return h
}

func TestBrowserAndServerSayTheSameOfEveryTally(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	results := r.open(r.browser(), r.Result.URL("/"))
	until(results, readResultPage, live)
	// Both modules, as they were served to this page.
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
		want := r.served()
		got, err := look[headlines](results, fmt.Sprintf(`say({ dogs: %d, cats: %d, lizards: %d })`, c.Dogs, c.Cats, c.Lizards))
		if err != nil || got != want {
			t.Errorf("%+v: the page says %+v, the server %+v; %v", c, got, want, err)
		}
	}
	r.clean(results)
}

func TestBrowserVotesPerSecondRiseUnderLoadAndFallToNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	results := r.open(r.browser(), r.Result.URL("/"))
	rate := func(p *tab) (string, error) { return look[string](p, `document.getElementById('rate').textContent`) }
	at := func(least, most float64) func(string) bool {
		return func(text string) bool {
			var perSecond float64
			_, err := fmt.Sscanf(strings.ReplaceAll(text, ",", ""), "%g", &perSecond)
			return err == nil && perSecond >= least && perSecond <= most
		}
	}
	until(results, rate, at(0, 0))
	r.during(20, func() {
		until(results, rate, at(5, 40)) // the machine may be too busy for all of them
	})
	until(results, rate, at(0, 0))
	r.clean(results)
}
