package systemtest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"petvote/shared/ballot"
)

// votePage is what the voting page shows.
type votePage struct {
	State, Text string
	Links       map[string]string // by their words
	Waiting     int               // votes kept; -1 if nothing is said of any
	Mine        map[string]string // on each choice, how many votes for it were cast here
	Journey     []station         // empty while it is hidden
}

// station is one stop of a vote's journey.
type station struct{ Name, State, Time, What string }

// journey reads the stations of a page.
const journeyScript = `[...document.querySelectorAll('.journey li')].map((li) => ({
	Name: li.dataset.step, State: li.dataset.state, Time: li.querySelector('.ms').textContent, What: li.querySelector('.what').textContent,
}))`

// states are those of a journey's stations, in their order.
func states(journey []station) string {
	var list []string
	for _, s := range journey {
		list = append(list, s.State)
	}
	return strings.Join(list, " ")
}

func readVotePage(p *tab) (votePage, error) {
	return look[votePage](p, `(() => {
		const status = document.getElementById('status'), waiting = document.getElementById('waiting');
		return {
			State: status.dataset.state, Text: status.textContent,
			Links: Object.fromEntries([...document.querySelectorAll('#journey-links a, #status a')].map((a) => [a.textContent, a.href])),
			Mine: Object.fromEntries([...document.querySelectorAll('.choice')].map((c) => [c.value, c.querySelector('.mine').textContent])),
			Journey: document.getElementById('journey').hidden ? [] : `+journeyScript+`,
			Waiting: waiting.hidden ? -1 : Number(document.getElementById('waiting-count').textContent),
		};
	})()`)
}

// resultPage is what the results page shows.
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
		const pets = ['dogs', 'cats', 'lizards'], banner = document.getElementById('banner');
		const each = (read) => Object.fromEntries(pets.map((pet) => [pet, read(pet)]));
		const drawn = (e) => e.getBoundingClientRect().width;
		return {
			Counts: each((pet) => Number(document.querySelector('[data-count=' + pet + ']').textContent.replaceAll(',', ''))),
			Nouns: each((pet) => document.querySelector('[data-noun=' + pet + ']').textContent),
			Total: document.getElementById('total').textContent,
			Shares: each((pet) => document.querySelector('[data-share=' + pet + ']').textContent),
			Bars: each((pet) => {
				const bar = document.querySelector('[data-bar=' + pet + ']');
				return Math.round(1000 * drawn(bar) / drawn(bar.previousElementSibling)) / 1000;
			}),
			Banner: banner.hidden ? '' : banner.textContent,
			Connection: document.getElementById('connection').dataset.state,
		};
	})()`)
}

func accepted(v votePage) bool { return v.State == "accepted" }

func live(v resultPage) bool { return v.Connection == "live" && v.Banner == "" }

func choice(pet ballot.Choice) string { return fmt.Sprintf("#ballot button[value=%s]", pet) }

// clean says that nothing went wrong on the pages.
func (r *rig) clean(tabs ...*tab) {
	r.t.Helper()
	for _, p := range tabs {
		problems, failed := p.found()
		for _, problem := range append(problems, failed...) {
			r.t.Errorf("on a page: %s", problem)
		}
	}
}

func TestBrowserAVoteMovesTheBarOnAnOpenResultsPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	results, vote := r.open(b, r.Result.URL("/")), r.open(b, r.Vote.URL("/"))
	until(results, readResultPage, func(v resultPage) bool { return live(v) && v.Total == "0" })

	vote.click(choice(ballot.Dogs))
	until(results, readResultPage, func(v resultPage) bool {
		return v.Counts == ballot.Counts{Dogs: 1} && v.Total == "1" && v.Shares["dogs"] == "100.0" && v.Bars["dogs"] == 1 && v.Bars["cats"] == 0 &&
			v.Nouns["dogs"] == "vote" && v.Nouns["cats"] == "votes"
	})
	until(vote, readVotePage, accepted)
	vote.click(choice(ballot.Cats))
	until(results, readResultPage, func(v resultPage) bool {
		return v.Counts == ballot.Counts{Dogs: 1, Cats: 1} && v.Total == "2" && v.Shares["cats"] == "50.0" && v.Bars["dogs"] == 0.5 && v.Bars["cats"] == 0.5
	})
	said := until(vote, readVotePage, func(v votePage) bool {
		return accepted(v) && strings.HasPrefix(v.Text, "Your vote for cats was accepted.")
	})
	if !strings.HasPrefix(said.Links["Receipt"], r.Result.URL("/votes/")) {
		t.Errorf("the receipt is at %q, the results at %s", said.Links["Receipt"], r.Result.URL("/"))
	}
	vote.click("#journey-links a")
	until(vote, func(p *tab) (string, error) {
		return look[string](p, `document.querySelector('main')?.textContent ?? ''`)
	}, func(text string) bool {
		return strings.Contains(text, "This vote has been counted, exactly once.") && strings.Contains(text, "cats")
	})
	r.clean(results, vote)
}

func TestBrowserResultsStayWhilePostgresIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	vote, results := r.open(b, r.Vote.URL("/")), r.open(b, r.Result.URL("/"))
	vote.click(choice(ballot.Lizards))
	until(results, readResultPage, func(v resultPage) bool { return live(v) && v.Counts == ballot.Counts{Lizards: 1} })

	r.must(r.Postgres.Kill())
	stale := func(v resultPage) bool { return strings.HasPrefix(v.Banner, "The votes can't be read at the moment.") }
	until(results, readResultPage, stale)
	vote.click(choice(ballot.Dogs))
	until(vote, readVotePage, func(v votePage) bool { return accepted(v) && strings.HasPrefix(v.Text, "Your vote for dogs") })
	late := r.open(b, r.Result.URL("/")) // one that comes during the outage
	for _, p := range []*tab{results, late} {
		until(p, readResultPage, func(v resultPage) bool { return stale(v) && v.Counts == ballot.Counts{Lizards: 1} && v.Total == "1" })
	}

	r.must(r.Postgres.Start(t.Context()))
	for _, p := range []*tab{results, late} {
		until(p, readResultPage, func(v resultPage) bool { return live(v) && v.Counts == ballot.Counts{Lizards: 1, Dogs: 1} })
	}
	for _, p := range []*tab{results, late, vote} {
		if problems, _ := p.found(); len(problems) > 0 { // what failed meanwhile had to
			t.Errorf("on a page: %v", problems)
		}
	}
}

func TestBrowserKeepsAVoteWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	vote := r.open(r.browser(), r.Vote.URL("/"))
	r.must(r.Redis.Kill())
	vote.click(choice(ballot.Cats))
	kept := func(v votePage) bool { return v.State == "waiting" && v.Waiting == 1 }
	said := until(vote, readVotePage, kept)
	if !strings.HasPrefix(said.Text, "Your vote for cats is kept in this browser") {
		t.Errorf("the page says %q", said.Text)
	}
	vote.do(chromedp.Reload())
	until(vote, readVotePage, kept)

	r.must(r.Redis.Start(t.Context()))
	said = until(vote, readVotePage, func(v votePage) bool { return accepted(v) && v.Waiting == -1 })
	if !strings.HasPrefix(said.Text, "Your vote for cats, kept since") || !strings.HasPrefix(said.Links["Receipt"], r.Result.URL("/votes/")) {
		t.Errorf("the page says %+v", said)
	}
	if left, err := look[int](vote, `localStorage.length`); err != nil || left != 0 {
		t.Errorf("%d items are left in the browser, %v", left, err)
	}
	r.drained()
	if stored := r.stored(); len(stored) != 1 || stored[said.Links["Receipt"][len(r.Result.URL("/votes/")):]] != ballot.Cats {
		t.Errorf("stored: %v, want the one vote for cats of %s", stored, said.Links["Receipt"])
	}
	if problems, refused := vote.found(); len(problems) > 0 || len(refused) == 0 {
		t.Errorf("on the page: %v; refused: %v", problems, refused)
	}
}

func withoutJavaScript(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
	_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return chromedp.Void{}, err
}

func TestBrowserWithoutJavaScriptVotesAndShowsTheNumber(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	vote, results := r.open(b, r.Vote.URL("/"), withoutJavaScript), r.open(b, r.Result.URL("/"), withoutJavaScript)
	if v, err := readResultPage(results); err != nil || v.Total != "0" || v.Connection != "connecting" {
		t.Fatalf("the results page shows %+v, %v", v, err)
	}
	vote.click(choice(ballot.Cats))
	until(vote, readVotePage, func(v votePage) bool { return accepted(v) && v.Text == "Your vote for cats was accepted. Receipt" })
	until(results, readResultPage, func(v resultPage) bool {
		return v.Counts == ballot.Counts{Cats: 1} && v.Total == "1" && v.Bars["cats"] == 1
	})
	r.must(r.Redis.Kill())
	vote.click(choice(ballot.Dogs))
	until(vote, readVotePage, func(v votePage) bool {
		return v.State == "refused" && strings.HasPrefix(v.Text, "Your vote could not be taken just now.")
	})
	// The same vote again, and again, is one vote.
	r.must(r.Redis.Start(t.Context()))
	r.eventually(func() error { return r.Vote.Ready(t.Context()) })
	refused, err := look[string](vote, `location.href`)
	r.must(err)
	for range 2 {
		vote.do(chromedp.Navigate(refused))
		vote.click("#retry button")
		until(vote, readVotePage, func(v votePage) bool {
			return accepted(v) && v.Text == "Your vote for dogs was accepted. Receipt"
		})
	}
	r.drained()
	if stored := r.stored(); len(stored) != 2 {
		t.Errorf("stored: %v, want the vote for cats and one for dogs", stored)
	}
	r.clean(vote, results)
}

func TestBrowserVotesByKeyboardAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	vote := r.open(r.browser(), r.Vote.URL("/"))
	type focus struct {
		Value string
		Ring  bool // whether one sees where it is
	}
	focused := func() focus {
		f, err := look[focus](vote, `(() => {
			const e = document.activeElement, style = getComputedStyle(e);
			return { Value: e.value ?? '', Ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 };
		})()`)
		r.must(err)
		return f
	}
	for presses := 0; focused().Value != string(ballot.Lizards); presses++ {
		if presses == 10 {
			t.Fatal("ten times Tab does not lead to the lizards")
		}
		vote.do(chromedp.KeyEvent(kb.Tab))
		if f := focused(); !f.Ring {
			t.Errorf("the focus is on %+v, and can't be seen", f)
		}
	}
	vote.do(chromedp.KeyEvent(kb.Enter))
	until(vote, readVotePage, func(v votePage) bool {
		return accepted(v) && strings.HasPrefix(v.Text, "Your vote for lizards was accepted.")
	})
	if f := focused(); f.Value != string(ballot.Lizards) {
		t.Errorf("after the vote the focus is on %+v", f)
	}
	r.drained()
	if stored := r.stored(); len(stored) != 1 {
		t.Errorf("stored: %v, want one vote", stored)
	}
	r.clean(vote)
}

func TestBrowserPagesAreQuietAndKeepToTheirOwnOrigins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	vote, results := r.open(b, r.Vote.URL("/")), r.open(b, r.Result.URL("/"))
	until(results, readResultPage, live)
	vote.click(choice(ballot.Dogs))
	until(results, readResultPage, func(v resultPage) bool { return v.Total == "1" })
	said := until(vote, readVotePage, accepted)
	receipt := r.open(b, said.Links["Receipt"])
	for p, own := range map[*tab]string{vote: r.Vote.URL(""), results: r.Result.URL(""), receipt: r.Result.URL("")} {
		p.mu.Lock()
		if len(p.requests) < 4 {
			t.Errorf("a page of %s made only these requests: %v", own, p.requests)
		}
		for _, address := range p.requests {
			receipts := p == vote && strings.HasPrefix(address, r.Result.URL("/votes/")) // whose journey it shows
			if u, err := url.Parse(address); err != nil || u.Scheme != "data" && u.Scheme+"://"+u.Host != own && !receipts {
				t.Errorf("a page of %s sent a request to %s", own, address)
			}
		}
		p.mu.Unlock()
	}
	r.clean(vote, results, receipt)

	// What would be seen if there were something to see.
	for _, offence := range []string{`console.error('seen')`, `setTimeout(() => { throw new Error('seen') })`, `document.body.setAttribute('style', 'color: red')`,
		`fetch('http://127.0.0.1:1/').catch(() => {})`, `fetch('/nothing')`} {
		problems, failed := vote.found()
		vote.do(chromedp.Evaluate[chromedp.Void](offence + "; undefined"))
		r.eventually(func() error {
			if p, f := vote.found(); len(p)+len(f) == len(problems)+len(failed) {
				return fmt.Errorf("%s is not noticed", offence)
			}
			return nil
		})
	}
}
