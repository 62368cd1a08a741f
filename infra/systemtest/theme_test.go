package systemtest

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"petvote/shared/ballot"
)

// prefers is the action that sets a preference of the person's system, as "prefers-color-scheme" to "dark".
func prefers(feature, value string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-" + feature, Value: value}},
		})
		return chromedp.Void{}, err
	}
}

// colours is what a page looks like, and what makes it so.
type colours struct {
	Ground, Text string
	Dark         bool   // whether the switch says so
	Theme        string // built into the page
	Cookie       string
}

func readColours(p *tab) (colours, error) {
	return look[colours](p, `(() => {
		const style = getComputedStyle(document.body);
		return {
			Ground: style.backgroundColor, Text: style.color, Theme: document.documentElement.dataset.theme ?? '', Cookie: document.cookie,
			Dark: document.getElementById('theme-switch').getAttribute('aria-pressed') === 'true',
		};
	})()`)
}

var (
	light = colours{Ground: "rgb(250, 247, 241)", Text: "rgb(31, 28, 23)"}
	dark  = colours{Ground: "rgb(20, 21, 26)", Text: "rgb(238, 237, 232)", Dark: true}
)

// set is how a page looks on which the switch was set.
func (c colours) set(theme string) colours {
	c.Theme, c.Cookie = theme, "petvote-theme="+theme
	return c
}

func (p *tab) wears(want colours) {
	p.t.Helper()
	until(p, readColours, func(c colours) bool { return c == want })
}

func TestBrowserTheThemeSwitchHoldsOnBothServicesUntilItIsSetBack(t *testing.T) {
	t.Parallel()
	for system, c := range map[string]struct{ is, other colours }{
		"light": {light, dark.set("dark")},
		"dark":  {dark, light.set("light")},
	} {
		t.Run(system, func(t *testing.T) {
			r := newRig(t)
			b := r.browser()
			vote := r.open(b, r.Vote.URL("/"), prefers("color-scheme", system))
			vote.wears(c.is)
			vote.click("#theme-switch")
			vote.wears(c.other)
			vote.do(chromedp.Reload())
			vote.wears(c.other)
			results := r.open(b, r.Result.URL("/"), prefers("color-scheme", system))
			results.wears(c.other)

			results.click("#theme-switch")
			results.wears(c.is)
			for _, p := range []*tab{results, vote} {
				p.do(chromedp.Reload())
				p.wears(c.is)
			}
			r.clean(vote, results)
		})
	}
}

func TestBrowserThePageFollowsTheSystemWhileTheSwitchIsOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	results := r.open(r.browser(), r.Result.URL("/"), prefers("color-scheme", "light"))
	results.wears(light)
	results.do(prefers("color-scheme", "dark"))
	results.wears(dark)
	results.click("#theme-switch")
	results.wears(light.set("light"))
	results.do(prefers("color-scheme", "light"))
	results.wears(light.set("light"))
	r.clean(results)
}

// recordMoves has a page remember what moves on it from now on.
const recordMoves = `(() => {
	window.moves = new Set();
	const record = () => {
		for (const a of document.getAnimations()) moves.add(a.animationName ?? a.transitionProperty ?? 'script');
		requestAnimationFrame(record);
	};
	record();
})()`

func TestBrowserNothingMovesForThoseWhoAskForLessMotion(t *testing.T) {
	t.Parallel()
	for motion, still := range map[string]bool{"no-preference": false, "reduce": true} {
		t.Run(motion, func(t *testing.T) {
			r := newRig(t)
			b := r.browser()
			vote := r.open(b, r.Vote.URL("/"), prefers("reduced-motion", motion))
			results := r.open(b, r.Result.URL("/"), prefers("reduced-motion", motion))
			until(results, readResultPage, live)
			for _, p := range []*tab{vote, results} {
				p.do(chromedp.Evaluate[chromedp.Void](recordMoves + "; undefined"))
			}
			r.must(r.Worker.Pause()) // so that the journey stands at a station for a while
			vote.click(choice(ballot.Dogs))
			until(vote, readVotePage, func(v votePage) bool { return states(v.Journey) == "done done now open" })
			moves := func(p *tab) ([]string, error) { return look[[]string](p, `[...moves]`) }
			if !still {
				until(vote, moves, func(moved []string) bool { return len(moved) > 1 })
			}
			r.must(r.Worker.Resume())
			until(vote, readVotePage, func(v votePage) bool { return arrived(v.Journey) })
			until(results, readResultPage, func(v resultPage) bool { return v.Total == "1" && v.Bars["dogs"] == 1 })

			for name, p := range map[string]*tab{"vote": vote, "results": results} {
				moved, err := moves(p)
				if err != nil || (len(moved) == 0) != still {
					t.Errorf("on the %s page these moved: %v, %v", name, moved, err)
				}
			}
			duration, err := look[string](results, `getComputedStyle(document.querySelector('[data-bar=dogs]')).transitionDuration`)
			if err != nil || (duration == "0s") != still {
				t.Errorf("a bar takes %s, %v", duration, err)
			}
			r.clean(vote, results)
		})
	}
}
