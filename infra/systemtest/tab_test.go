package systemtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"petvote/infra/browser"
)

// browser opens a headless browser, which is closed at the end of the test.
func (r *rig) browser() context.Context {
	r.t.Helper()
	return browser.Open(r.t, "")
}

// tab is a page that records its problems and its requests.
type tab struct {
	*rig
	ctx context.Context

	mu       sync.Mutex
	problems []string // console errors, exceptions, breaches of the content security policy
	requests []string // addresses
	received int      // bytes over the wire
}

// open opens a page in a tab of its own, after some actions.
func (r *rig) open(in context.Context, url string, actions ...chromedp.Action[chromedp.Void]) *tab {
	r.t.Helper()
	p := &tab{rig: r, ctx: browser.NewTab(r.t, in)}
	r.must(chromedp.Listen(p.ctx, p.note))
	p.do(append(actions, chromedp.Navigate(url))...)
	return p
}

// note receives every event of the tab.
func (p *tab) note(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	case *network.EventLoadingFinished:
		p.received += int(e.EncodedDataLength)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			p.problems = append(p.problems, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		what := e.ExceptionDetails.Text
		if thrown := e.ExceptionDetails.Exception; thrown != nil {
			what += " " + thrown.Description
		}
		p.problems = append(p.problems, "exception: "+what)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			var words []string
			for _, arg := range e.Args {
				words = append(words, string(arg.Value))
			}
			p.problems = append(p.problems, "console: "+strings.Join(words, " "))
		}
	}
}

// found returns the problems so far, and apart from them the failed requests, which belong to an outage.
func (p *tab) found() (problems, failedRequests []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, problem := range p.problems {
		if strings.HasPrefix(problem, string(log.EntrySourceNetwork)+":") {
			failedRequests = append(failedRequests, problem)
		} else {
			problems = append(problems, problem)
		}
	}
	return problems, failedRequests
}

// quiet fails the test if there was a problem on the page. Failed requests are none.
func (p *tab) quiet() {
	p.t.Helper()
	if problems, _ := p.found(); len(problems) > 0 {
		p.t.Errorf("on a page: %v", problems)
	}
}

// clean fails the test if there was a problem or a failed request on one of the pages.
func (r *rig) clean(tabs ...*tab) {
	r.t.Helper()
	for _, p := range tabs {
		p.quiet()
		if _, failed := p.found(); len(failed) > 0 {
			r.t.Errorf("on a page: %v", failed)
		}
	}
}

// run executes a statement on the page.
func (p *tab) run(script string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](script + "; undefined"))
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	p.must(browser.Do(p.ctx, actions...))
}

// command is the action of a command of the DevTools protocol.
func command[P any](cmd cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, cmd, params)
		return chromedp.Void{}, err
	}
}

// click clicks on an element, once it is there, visible and not covered. The page clicks, since Chromium may never
// answer for a mouse whose press makes the page go away.
func (p *tab) click(selector string) {
	p.t.Helper()
	clickable := fmt.Sprintf(`(() => {
		const element = document.querySelector(%q);
		element?.scrollIntoView({ block: 'center', behavior: 'instant' });
		const box = element?.getBoundingClientRect();
		const top = box && document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
		return Boolean(top) && element.contains(top);
	})()`, selector)
	p.eventually(func() error {
		is, err := look[bool](p, clickable)
		if err == nil && !is {
			err = fmt.Errorf("%s can't be clicked", selector)
		}
		return err
	})
	asUser := func(e *runtime.EvaluateParams) { e.UserGesture = new(true) }
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).click(); undefined", selector), asUser))
}

// reload loads the page anew, as soon as it is not about to do so by itself.
func (p *tab) reload() {
	p.t.Helper()
	p.eventually(func() error { return browser.Do(p.ctx, chromedp.Reload()) })
}

// look evaluates an expression on the page and decodes its JSON.
func look[T any](p *tab, expression string) (T, error) {
	return browser.Look[T](p.ctx, expression)
}

// until waits until the page is in a wanted state, and returns the state.
func until[T any](p *tab, seen func(*tab) (T, error), want func(T) bool) T {
	p.t.Helper()
	var last T
	p.eventually(func() error {
		var err error
		if last, err = seen(p); err == nil && !want(last) {
			err = fmt.Errorf("the page shows %+v", last)
		}
		return err
	})
	return last
}

// weigh opens a page without a cache and returns the bytes that came over the wire, headers included.
func (r *rig) weigh(browser context.Context, url string) int {
	r.t.Helper()
	p := r.open(browser, url, command(network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}))
	r.elapse(time.Second) // the modules fetch data by themselves
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received
}
