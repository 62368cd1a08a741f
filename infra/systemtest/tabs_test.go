package systemtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"petvote/infra/browser"
	"petvote/shared/ballot"
)

// resultsTab is a tab with the results page that knows its open event streams.
type resultsTab struct {
	*tab
	mu      sync.Mutex
	streams map[network.RequestID]bool
}

func (r *rig) openResults(b context.Context, url string) *resultsTab {
	r.t.Helper()
	t := &resultsTab{streams: map[network.RequestID]bool{}}
	t.tab = r.open(b, "about:blank")
	r.must(chromedp.Listen(t.ctx, func(event any) {
		t.mu.Lock()
		defer t.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if strings.HasSuffix(e.Request.URL, "/events") {
				t.streams[e.RequestID] = true
			}
		case *network.EventLoadingFinished:
			delete(t.streams, e.RequestID)
		case *network.EventLoadingFailed:
			delete(t.streams, e.RequestID)
		}
	}))
	t.do(chromedp.Navigate(url))
	return t
}

func (t *resultsTab) leads() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.streams) > 0
}

// hide makes the page believe that it is hidden, or visible again. Headless tabs are always visible.
func (t *resultsTab) hide(hidden bool) {
	t.t.Helper()
	t.run(fmt.Sprintf(`Object.defineProperty(document, 'hidden', { configurable: true, value: %t });
		document.dispatchEvent(new Event('visibilitychange'))`, hidden))
}

// Over HTTP/1.1 a browser has six connections to a host.
func TestBrowserManyResultsTabsShareOneStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	var tabs []*resultsTab
	for range 8 {
		tabs = append(tabs, r.openResults(b, r.Result.URL("/")))
	}
	vote := r.open(b, r.Vote.URL("/"))
	var votes int64
	// shared checks that a vote reaches every tab and the voting page, and returns the tab that has the only stream.
	shared := func() (leader int) {
		t.Helper()
		for _, p := range tabs {
			until(p.tab, readResultPage, live)
		}
		votes++
		vote.reload()
		vote.click(choice(ballot.Dogs))
		for _, p := range tabs {
			until(p.tab, readResultPage, func(v resultPage) bool { return live(v) && v.Counts.Dogs == votes })
		}
		until(vote, readVotePage, func(v votePage) bool { return arrived(v.Journey) })
		r.viewers("sse", 1)
		r.eventually(func() error {
			var leaders []int
			for i, p := range tabs {
				if p.leads() {
					leaders = append(leaders, i)
				}
			}
			if len(leaders) != 1 {
				return fmt.Errorf("of the tabs %v lead", leaders)
			}
			leader = leaders[0]
			return nil
		})
		return leader
	}
	leave := func(leader int) {
		tabs = append(tabs[:leader:leader], tabs[leader+1:]...)
	}

	leader := shared()
	crashing, cancel := context.WithTimeout(tabs[leader].ctx, 2*time.Second)
	_, _ = chromedp.Call(crashing, page.Crash, cdp.Empty{}) // a tab that crashes gives no answer
	cancel()
	leave(leader)

	leader = shared()
	tabs[leader].do(chromedp.Navigate("about:blank"))
	leave(leader)

	leader = shared()
	hidden, before := tabs[leader], votes
	hidden.hide(true)
	leave(leader)
	shared()
	// Nothing piles up in a hidden tab, and it catches up when it is shown.
	if v, err := readResultPage(hidden.tab); err != nil || hidden.leads() || v.Counts.Dogs != before {
		t.Errorf("a hidden tab leads (%v), or follows: %+v, %v", hidden.leads(), v, err)
	}
	hidden.hide(false)
	tabs = append(tabs, hidden)
	shared()
	for _, p := range tabs {
		p.hide(true)
	}
	r.viewers("sse", 0)
	tabs[0].hide(false)
	r.viewers("sse", 1)
	for _, p := range tabs {
		p.hide(false)
	}
	shared()

	// However many pushes come, as from a leader with votes by the thousand, a page draws the newest once a frame.
	for _, p := range tabs {
		p.run(`window.frames = [];
			new MutationObserver(() => frames.push(document.timeline.currentTime))
				.observe(document.getElementById('total'), { childList: true })`)
	}
	tabs[0].run(`{
		const channel = new BroadcastChannel('petvote.results ' + new URL('events', location.href));
		for (let dogs = 1001; dogs <= 2000; dogs++) {
			channel.postMessage({ leader: -1, state: 'live', isPush: true, votes: { dogs, cats: 0, lizards: 0 } });
		}
	}`)
	for _, p := range tabs {
		until(p.tab, readResultPage, func(v resultPage) bool { return v.Counts.Dogs == 2000 })
		frames, err := look[[]float64](p.tab, `frames`)
		if distinct := slices.Compact(slices.Clone(frames)); err != nil || len(distinct) < len(frames) {
			t.Errorf("the page has drawn %d times in %d frames, %v", len(frames), len(distinct), err)
		}
		r.clean(p.tab)
	}
	vote.quiet()
}

func TestBrowserManyResultsTabsShareOneStreamWithoutSiteDataAndOverPlainHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := browser.Open(t, siteDataBlocked, plainName)
	var tabs []*resultsTab
	for range 8 {
		tabs = append(tabs, r.openResults(b, plain(r.Result.URL("/"))))
	}
	r.vote(ballot.Dogs)
	for _, p := range tabs {
		until(p.tab, readResultPage, func(v resultPage) bool { return live(v) && v.Counts.Dogs == 1 })
	}
	r.viewers("sse", 1)
}

func TestBrowserAResultsPageThatHearsNothingSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	results := r.open(r.browser(), r.Result.URL("/"))
	until(results, readResultPage, live)
	// As where others take up all connections: no request gets an answer, and no push comes.
	results.run(`window.answer = window.fetch; window.fetch = () => new Promise(() => {})`)
	v := until(results, readResultPage, func(v resultPage) bool { return v.Banner != "" })
	if !strings.HasPrefix(v.Banner, "The results service can't be reached.") || v.Connection == "live" {
		t.Errorf("the page shows %+v", v)
	}
	r.vote(ballot.Cats)
	until(results, readResultPage, func(v resultPage) bool { return live(v) && v.Counts.Cats == 1 })
}
