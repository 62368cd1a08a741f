package systemtest

import (
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"petvote/shared/ballot"
)

// focus is the place of the keyboard.
type focus struct {
	Name string // of the element, in a word or by its id; empty: on none
	Ring bool   // whether the place is visible
}

func readFocus(p *tab) (focus, error) {
	return look[focus](p, `(() => {
		const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
		return {
			Name: e === document.body ? '' : e.id || (e.matches('.choice') && e.value) || e.className || e.textContent.trim(),
			Ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && box.width > 0 &&
				Math.min(box.bottom, innerHeight) - Math.max(box.top, 0) >= Math.min(box.height, 24) &&
				style.outlineColor !== getComputedStyle(document.body).backgroundColor,
		};
	})()`)
}

// steps presses a key until the focus has been on n elements of the page, and returns their names. Between the last and
// the first element the focus may leave the page.
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

func TestBrowserThePagesWorkByKeyboardAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	vote := r.open(b, r.Vote.URL("/"))
	tab := chromedp.KeyEvent(kb.Tab)
	for presses := 1; vote.steps(1, tab)[0] != string(ballot.Lizards); presses++ {
		if presses == 10 {
			t.Fatal("ten times Tab does not lead to the lizards")
		}
	}
	vote.do(chromedp.KeyEvent(kb.Enter))
	until(vote, readVotePage, acceptedFor(ballot.Lizards))
	if f, err := readFocus(vote); err != nil || f.Name != string(ballot.Lizards) {
		t.Errorf("after the vote the focus is on %+v, %v", f, err)
	}
	r.drained()
	if stored := r.stored(); len(stored) != 1 {
		t.Errorf("stored: %v, want one vote", stored)
	}

	results := r.open(b, r.Result.URL("/"))
	results.visible("#history")
	want := []string{"Vote", "results-link", "theme-switch", "minute", "Show the minutes as a table",
		"Show on a big screen", "Vote"}
	if stops := results.steps(len(want), tab); !slices.Equal(stops, want) {
		t.Errorf("Tab leads to %q, want %q", stops, want)
	}
	back := slices.Clone(want[:len(want)-1])
	slices.Reverse(back)
	shiftTab := chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(kb.ModifierShift))
	if stops := results.steps(len(back), shiftTab); !slices.Equal(stops, back) {
		t.Errorf("Shift and Tab lead to %q, want %q", stops, back)
	}
	// The table, once open, scrolls by keyboard too.
	results.do(chromedp.Focus(chromedp.CSS("summary")), chromedp.KeyEvent(kb.Enter))
	results.visible("#as-table[open] tbody tr") // its rows move what is below
	if stops, want := results.steps(2, tab), []string{"scroll", "Show on a big screen"}; !slices.Equal(stops, want) {
		t.Errorf("after the open table's summary Tab leads to %q, want %q", stops, want)
	}
	r.clean(vote, results)
}
