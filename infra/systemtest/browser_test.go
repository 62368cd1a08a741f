package systemtest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/uuid"

	"petvote/shared/ballot"
)

// votePage is the state of the voting page.
type votePage struct {
	State, Text string
	Links       map[string]string // by their words
	Waiting     int               // votes in the outbox; -1 if the page mentions none
	Mine        map[string]string // on each choice, how many votes for it were cast here
	Journey     []journeyStep     // empty while it is hidden
}

type journeyStep struct{ Name, State, Time, What string }

// journeyScript reads the steps on a page.
const journeyScript = `[...document.querySelectorAll('.journey li')].map((li) => ({
	Name: li.dataset.step, State: li.dataset.state,
	Time: li.querySelector('.ms').textContent, What: li.querySelector('.what').textContent,
}))`

// states returns the states of a journey's steps, in their order.
func states(journey []journeyStep) string {
	var list []string
	for _, s := range journey {
		list = append(list, s.State)
	}
	return strings.Join(list, " ")
}

// arrived reports whether a vote has come to the end of its journey.
func arrived(journey []journeyStep) bool { return states(journey) == "done done done done" }

func readVotePage(p *tab) (votePage, error) {
	return look[votePage](p, `(() => {
		const status = document.getElementById('status'), waiting = document.getElementById('waiting');
		const links = [...document.querySelectorAll('#journey-links a, #status a')];
		const choices = [...document.querySelectorAll('.choice')];
		return {
			State: status.dataset.state, Text: status.textContent,
			Links: Object.fromEntries(links.map((a) => [a.textContent, a.href])),
			Mine: Object.fromEntries(choices.map((c) => [c.value, c.querySelector('.mine').textContent])),
			Journey: document.getElementById('journey').hidden ? [] : `+journeyScript+`,
			Waiting: waiting.hidden ? -1 : Number(document.getElementById('waiting-count').textContent),
		};
	})()`)
}

// voteOf returns the id of the vote whose receipt the page links to.
func (r *rig) voteOf(v votePage) uuid.UUID {
	r.t.Helper()
	path, _, _ := strings.Cut(strings.TrimPrefix(v.Links["Receipt"], r.Result.URL("/votes/")), "?entry=0/")
	id, err := uuid.Parse(path)
	r.must(err)
	return id
}

// resultPage is the state of the results page.
type resultPage struct {
	Counts     ballot.Counts
	Nouns      map[string]string // beside the counts
	Total      string
	Shares     map[string]string
	Bars       map[string]float64 // drawn, as a part of the track
	Banner     string             // empty while it is hidden
	Connection string
}

func readResultPage(p *tab) (resultPage, error) {
	return look[resultPage](p, `(() => {
		const banner = document.getElementById('banner'), find = (query) => document.querySelector(query);
		const each = (read) => Object.fromEntries(['dogs', 'cats', 'lizards'].map((pet) => [pet, read(pet)]));
		const drawn = (e) => e.getBoundingClientRect().width;
		return {
			Counts: each((pet) => Number(find('[data-count=' + pet + ']').textContent.replaceAll(',', ''))),
			Nouns: each((pet) => find('[data-noun=' + pet + ']').textContent),
			Total: document.getElementById('total').textContent,
			Shares: each((pet) => find('[data-share=' + pet + ']').textContent),
			Bars: each((pet) => {
				const bar = find('[data-bar=' + pet + ']');
				return Math.round(1000 * drawn(bar) / drawn(bar.previousElementSibling)) / 1000;
			}),
			Banner: banner.hidden ? '' : banner.textContent,
			Connection: document.getElementById('connection').dataset.state,
		};
	})()`)
}

func accepted(v votePage) bool { return v.State == "accepted" }

// acceptedFor recognizes a page whose newest vote, for a pet, was accepted.
func acceptedFor(pet ballot.Choice) func(votePage) bool {
	return func(v votePage) bool {
		return accepted(v) && strings.HasPrefix(v.Text, "Your vote for "+string(pet)+" was accepted.")
	}
}

func live(v resultPage) bool { return v.Connection == "live" && v.Banner == "" }

func stale(v resultPage) bool {
	return strings.HasPrefix(v.Banner, "The votes can't be read at the moment.")
}

func choice(pet ballot.Choice) string { return fmt.Sprintf("#ballot button[value=%s]", pet) }

func TestBrowserAVoteMovesTheBarOnAnOpenResultsPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	results, vote := r.open(b, r.Result.URL("/")), r.open(b, r.Vote.URL("/"))
	until(results, readResultPage, func(v resultPage) bool { return live(v) && v.Total == "0" })

	vote.click(choice(ballot.Dogs))
	until(results, readResultPage, func(v resultPage) bool {
		return v.Counts == ballot.Counts{Dogs: 1} && v.Total == "1" && v.Shares["dogs"] == "100.0" &&
			v.Bars["dogs"] == 1 && v.Bars["cats"] == 0 && v.Nouns["dogs"] == "vote" && v.Nouns["cats"] == "votes"
	})
	until(vote, readVotePage, acceptedFor(ballot.Dogs))
	vote.click(choice(ballot.Cats))
	until(results, readResultPage, func(v resultPage) bool {
		return v.Counts == ballot.Counts{Dogs: 1, Cats: 1} && v.Total == "2" && v.Shares["cats"] == "50.0" &&
			v.Bars["dogs"] == 0.5 && v.Bars["cats"] == 0.5
	})
	r.voteOf(until(vote, readVotePage, acceptedFor(ballot.Cats)))
	vote.click("#journey-links a")
	until(vote, readReceiptPage, func(p receiptPage) bool { return p.Text == "This vote has been counted, exactly once." })
	r.clean(results, vote)
}

var withoutJavaScript = command(emulation.SetScriptExecutionDisabled,
	emulation.SetScriptExecutionDisabledParams{Value: true})

func TestBrowserWithoutJavaScriptVotesAndShowsTheNumbers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	vote, results := r.open(b, r.Vote.URL("/"), withoutJavaScript), r.open(b, r.Result.URL("/"), withoutJavaScript)
	if v, err := readResultPage(results); err != nil || v.Total != "0" || v.Connection != "connecting" {
		t.Fatalf("the results page shows %+v, %v", v, err)
	}
	vote.click(choice(ballot.Cats))
	until(vote, readVotePage, acceptedFor(ballot.Cats))
	until(results, readResultPage, func(v resultPage) bool {
		return v.Counts == ballot.Counts{Cats: 1} && v.Total == "1" && v.Bars["cats"] == 1
	})
	r.must(r.Redis.Kill())
	vote.click(choice(ballot.Dogs))
	until(vote, readVotePage, func(v votePage) bool {
		return v.State == "refused" && strings.HasPrefix(v.Text, "Your vote could not be taken just now.")
	})
	// The same vote sent again and again is one vote.
	r.must(r.Redis.Start(t.Context()))
	r.eventually(func() error { return r.Vote.Ready(t.Context()) })
	refused, err := look[string](vote, `location.href`)
	r.must(err)
	for range 2 {
		vote.do(chromedp.Navigate(refused))
		vote.click("#retry button")
		until(vote, readVotePage, acceptedFor(ballot.Dogs))
	}
	r.drained()
	if stored := r.stored(); len(stored) != 2 {
		t.Errorf("stored: %v, want the vote for cats and one for dogs", stored)
	}

	// The tally is in the page: the first paint needs no script and no further answer.
	want := ballot.Counts{Dogs: 61200, Cats: 52700, Lizards: 17800}
	r.setTally(want)
	until(results, readResultPage, func(v resultPage) bool { // the page loads itself anew
		return v.Counts == want && v.Total == "131,700" && v.Bars["dogs"] == 0.465
	})
	until(results, readHeadlines, func(h headlines) bool {
		return h.Leader == "Dogs lead with 46.5\u00a0%, 8,500 votes ahead of cats."
	})
	r.clean(vote, results)
}

func TestBrowserPagesWeighLittleAreQuietAndKeepToTheirOwnOrigins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	r.anHourOfVotes(ballot.Counts{Dogs: 61200, Cats: 52700, Lizards: 17800})
	const limit = 60_000
	for _, url := range []string{r.Vote.URL("/"), r.Result.URL("/"), r.Result.URL("/votes/" + unknownVote)} {
		weight := r.weigh(b, url)
		t.Logf("%s: %d bytes with an empty cache", url, weight)
		if weight < 5_000 || weight > limit {
			t.Errorf("%s weighs %d bytes, want less than %d", url, weight, limit)
		}
	}
	// The second visit fetches only what changes.
	vote, results := r.open(b, r.Vote.URL("/")), r.open(b, r.Result.URL("/"))
	until(results, readResultPage, live)
	results.do(chromedp.Navigate(r.Result.URL("/")))
	until(results, readResultPage, live)
	fetched, err := look[[]string](results, `performance.getEntriesByType('resource')
		.filter((e) => e.transferSize > 0 && e.name.includes('/static/')).map((e) => e.name)`)
	r.must(err)
	if len(fetched) > 0 {
		t.Errorf("fetched again: %s", strings.Join(fetched, " "))
	}

	vote.click(choice(ballot.Dogs))
	until(results, readResultPage, func(v resultPage) bool { return v.Total == "131,701" })
	receipt := r.open(b, until(vote, readVotePage, accepted).Links["Receipt"])
	for p, own := range map[*tab]string{vote: r.Vote.URL(""), results: r.Result.URL(""), receipt: r.Result.URL("")} {
		p.mu.Lock()
		if len(p.requests) < 4 {
			t.Errorf("a page of %s made only these requests: %v", own, p.requests)
		}
		for _, address := range p.requests {
			journeys := p == vote && strings.HasPrefix(address, r.Result.URL("/votes/")) // the voting page shows them
			if u, err := url.Parse(address); err != nil || u.Scheme != "data" && u.Scheme+"://"+u.Host != own && !journeys {
				t.Errorf("a page of %s sent a request to %s", own, address)
			}
		}
		p.mu.Unlock()
	}
	r.clean(vote, results, receipt)

	// Anything wrong on a page would have been noticed.
	for _, offence := range []string{
		`console.error('seen')`, `setTimeout(() => { throw new Error('seen') })`, `fetch('/nothing')`,
		`document.body.setAttribute('style', 'color: red')`, `fetch('http://127.0.0.1:1/').catch(() => {})`,
	} {
		problems, failed := vote.found()
		vote.run(offence)
		r.eventually(func() error {
			if p, f := vote.found(); len(p)+len(f) == len(problems)+len(failed) {
				return fmt.Errorf("%s is not noticed", offence)
			}
			return nil
		})
	}
}
