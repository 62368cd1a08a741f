package systemtest

import (
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// focus is where the keyboard is.
type focus struct {
	Name string // of the element, in a word or by its id; empty: on none
	Ring bool   // whether one sees where it is
}

func readFocus(p *tab) (focus, error) {
	return look[focus](p, `(() => {
		const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
		return {
			Name: e === document.body ? '' : e.id || e.className || e.textContent.trim(),
			Ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && box.width > 0 &&
				Math.min(box.bottom, innerHeight) - Math.max(box.top, 0) >= Math.min(box.height, 24) && style.outlineColor !== getComputedStyle(document.body).backgroundColor,
		};
	})()`)
}

// steps presses a key until the focus has been on n elements of the page, and says on which. Between the last and the first
// the focus may leave the page.
func (p *tab) steps(n int, press chromedp.Action[chromedp.Void]) []string {
	p.t.Helper()
	var stops []string
	for presses := 0; len(stops) < n; presses++ {
		if presses > n+5 {
			p.t.Fatalf("after %d presses the focus was only on %q", presses, stops)
		}
		p.do(press)
		f, err := readFocus(p)
		p.must(err)
		if f.Name == "" {
			continue
		}
		stops = append(stops, f.Name)
		until(p, readFocus, func(seen focus) bool { return seen == focus{f.Name, true} }) // once the page has scrolled to it
	}
	return stops
}

func TestBrowserResultsPageByKeyboardAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	results := r.open(r.browser(), r.Result.URL("/"))
	charted := func(p *tab) (bool, error) { return look[bool](p, `!document.getElementById('history').hidden`) }
	until(results, charted, func(shown bool) bool { return shown })

	want := []string{"Vote", "results-link", "theme-switch", "minute", "Show the minutes as a table", "Show on a big screen", "Vote"}
	if stops := results.steps(len(want), chromedp.KeyEvent(kb.Tab)); !slices.Equal(stops, want) {
		t.Errorf("Tab leads to %q, want %q", stops, want)
	}
	back := slices.Clone(want[:len(want)-1])
	slices.Reverse(back)
	if stops := results.steps(len(back), chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(kb.ModifierShift))); !slices.Equal(stops, back) {
		t.Errorf("Shift and Tab lead to %q, want %q", stops, back)
	}

	// The table, once it is open, can be scrolled by keyboard too.
	results.do(chromedp.Focus(chromedp.CSS("summary")), chromedp.KeyEvent(kb.Enter))
	filled := func(p *tab) (bool, error) {
		return look[bool](p, `document.querySelector('#as-table[open] tbody tr') !== null`)
	}
	until(results, filled, func(filled bool) bool { return filled }) // its rows move what is below
	if stops, want := results.steps(2, chromedp.KeyEvent(kb.Tab)), []string{"scroll", "Show on a big screen"}; !slices.Equal(stops, want) {
		t.Errorf("after the open table's summary Tab leads to %q, want %q", stops, want)
	}
	r.clean(results)
}
