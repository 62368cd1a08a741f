package systemtest

import (
	"slices"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"petvote/shared/ballot"
)

// prefers sets preferences of the person's system, such as color-scheme to dark.
func prefers(features ...string) chromedp.Action[chromedp.Void] {
	var params emulation.SetEmulatedMediaParams
	for pair := range slices.Chunk(features, 2) {
		params.Features = append(params.Features, &emulation.MediaFeature{Name: "prefers-" + pair[0], Value: pair[1]})
	}
	return command(emulation.SetEmulatedMedia, params)
}

// colours are the look of a page with its reasons.
type colours struct {
	Ground, Text string
	Dark         bool   // by the switch
	Theme        string // built into the page
	Cookie       string
}

func readColours(p *tab) (colours, error) {
	return look[colours](p, `(() => {
		const style = getComputedStyle(document.body);
		return {
			Ground: style.backgroundColor, Text: style.color,
			Theme: document.documentElement.dataset.theme ?? '', Cookie: document.cookie,
			Dark: document.getElementById('theme-switch').getAttribute('aria-pressed') === 'true',
		};
	})()`)
}

var (
	light = colours{Ground: "rgb(250, 247, 241)", Text: "rgb(31, 28, 23)"}
	dark  = colours{Ground: "rgb(20, 21, 26)", Text: "rgb(238, 237, 232)", Dark: true}
)

// set returns the look of a page with the switch set.
func (c colours) set(theme string) colours {
	c.Theme, c.Cookie = theme, "petvote-theme="+theme
	return c
}

func (p *tab) wears(want colours) {
	p.t.Helper()
	until(p, readColours, func(c colours) bool { return c == want })
}

// recordMoves makes a page record its animations from now on.
const recordMoves = `(() => {
	window.moves = new Set();
	const record = () => {
		for (const a of document.getAnimations()) moves.add(a.animationName ?? a.transitionProperty ?? 'script');
		requestAnimationFrame(record);
	};
	record();
})()`

func TestBrowserThePagesFollowTheSystemAndTheThemeSwitch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	for system, c := range map[string]struct{ is, other colours }{
		"light": {light, dark.set("dark")},
		"dark":  {dark, light.set("light")},
	} {
		r.step("the switch set against "+system+" holds on both services until it is set back", func(r *rig) {
			vote := r.open(b, r.Vote.URL("/"), prefers("color-scheme", system))
			vote.wears(c.is)
			vote.click("#theme-switch")
			vote.wears(c.other)
			vote.reload()
			vote.wears(c.other)
			results := r.open(b, r.Result.URL("/"), prefers("color-scheme", system))
			results.wears(c.other)

			results.click("#theme-switch")
			results.wears(c.is)
			for _, p := range []*tab{results, vote} {
				p.reload()
				p.wears(c.is)
			}
			r.clean(vote, results)
		})
	}
	for motion, still := range map[string]bool{"no-preference": false, "reduce": true} {
		r.step("with reduced motion: "+motion, func(r *rig) {
			votes := r.drained().Added
			vote := r.open(b, r.Vote.URL("/"), prefers("reduced-motion", motion))
			results := r.open(b, r.Result.URL("/"), prefers("reduced-motion", motion))
			until(results, readResultPage, live)
			for _, p := range []*tab{vote, results} {
				p.run(recordMoves)
			}
			r.must(r.Worker.Pause()) // so that the journey stays at a step for a while
			vote.click(choice(ballot.Choices()[votes]))
			until(vote, readVotePage, func(v votePage) bool { return states(v.Journey) == "done done now open" })
			moves := func(p *tab) ([]string, error) { return look[[]string](p, `[...moves]`) }
			if !still {
				until(vote, moves, func(moved []string) bool { return len(moved) > 1 })
			}
			r.must(r.Worker.Resume())
			until(vote, readVotePage, func(v votePage) bool { return arrived(v.Journey) })
			until(results, readResultPage, func(v resultPage) bool { return v.Counts.Total() == votes+1 })
			if !still {
				until(results, moves, func(moved []string) bool { return len(moved) > 0 })
			}
			for name, p := range map[string]*tab{"vote": vote, "results": results} {
				moved, err := moves(p)
				if err != nil || (len(moved) == 0) != still {
					r.t.Errorf("on the %s page these moved: %v, %v", name, moved, err)
				}
			}
			const bar = `getComputedStyle(document.querySelector('[data-bar=dogs]'))`
			duration, err := look[string](results, bar+`.transitionDuration`)
			if err != nil || (duration == "0s") != still {
				r.t.Errorf("a bar takes %s, %v", duration, err)
			}
			r.clean(vote, results)
		})
	}
	r.step("the page follows the system while the switch is off", func(r *rig) {
		results := r.open(b, r.Result.URL("/"), prefers("color-scheme", "light"))
		results.wears(light)
		results.do(prefers("color-scheme", "dark"))
		results.wears(dark)
		results.click("#theme-switch")
		results.wears(light.set("light"))
		results.do(prefers("color-scheme", "light"))
		results.wears(light.set("light"))
		r.clean(results)
	})
}
