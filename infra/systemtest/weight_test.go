package systemtest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"petvote/shared/ballot"
)

// weigh opens a page with an empty cache and returns what came over the wire, headers included.
func (r *rig) weigh(browser context.Context, url string) int {
	r.t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	defer cancel()
	loaded := make(chan int, 1000)
	r.must(chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*network.EventLoadingFinished); ok {
			loaded <- int(e.EncodedDataLength)
		}
	}))
	deadline, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	_, err := chromedp.Call(deadline, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
	r.must(err)
	r.must(chromedp.Do(deadline, chromedp.Navigate(url)))
	total := 0
	for { // until nothing has come for a while: the modules ask for data on their own
		select {
		case n := <-loaded:
			total += n
		case <-time.After(time.Second):
			return total
		}
	}
}

func TestBrowserPagesWeighLittleAndAreKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	r.anHourOfVotes(ballot.Counts{Dogs: 61200, Cats: 52700, Lizards: 17800})
	const limit = 60_000
	for _, url := range []string{r.Vote.URL("/"), r.Result.URL("/"), r.Result.URL("/votes/01a20acb-5695-7d8b-96f5-4a7de91d251e")} {
		weight := r.weigh(b, url)
		t.Logf("%s: %d bytes with an empty cache", url, weight)
		if weight < 5_000 || weight > limit {
			t.Errorf("%s weighs %d bytes, want less than %d", url, weight, limit)
		}
	}

	// The second time only what changes is asked for.
	p := r.open(b, r.Result.URL("/"))
	until(p, readResultPage, live)
	p.do(chromedp.Navigate(r.Result.URL("/")))
	until(p, readResultPage, live)
	fetched, err := look[[]string](p, `performance.getEntriesByType('resource').filter((e) => e.transferSize > 0 && e.name.includes('/static/')).map((e) => e.name)`)
	r.must(err)
	if len(fetched) > 0 {
		t.Errorf("fetched again: %s", strings.Join(fetched, " "))
	}
}

// The tally is in the page: what is painted first needs no script and no further answer.
func TestBrowserTheFirstPaintHasTheNumbers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	r.anHourOfVotes(ballot.Counts{Dogs: 61200, Cats: 52700, Lizards: 17800})
	want := ballot.Counts{Dogs: 61200, Cats: 52700, Lizards: 17800}
	r.eventually(func() error {
		a, err := r.tally()
		if err == nil && a.Votes != want {
			err = fmt.Errorf("shown: %+v", a)
		}
		return err
	})
	p := r.open(b, r.Result.URL("/"), withoutJavaScript)
	v, err := readResultPage(p)
	r.must(err)
	leader, err := look[string](p, `document.getElementById('leader').textContent`)
	r.must(err)
	if v.Counts != want || v.Total != "131,700" || v.Bars["dogs"] != 0.465 || leader != "Dogs lead with 46.5\u00a0%, 8,500 votes ahead of cats." {
		t.Errorf("the page begins with %q and %+v", leader, v)
	}
}
