package systemtest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"petvote/infra/browser"
)

// browser opens a headless browser, which is closed with the test.
func (r *rig) browser() context.Context {
	r.t.Helper()
	return browser.Open(r.t)
}

// tab is one page that is looked at. It remembers what went wrong on it and where it sent requests.
type tab struct {
	*rig
	ctx context.Context

	mu       sync.Mutex
	problems []string // console errors, exceptions, breaches of the content security policy
	requests []string // addresses
}

// open opens a page in a tab of its own. The actions come before the page.
func (r *rig) open(in context.Context, url string, actions ...chromedp.Action[chromedp.Void]) *tab {
	r.t.Helper()
	p := &tab{rig: r, ctx: browser.NewTab(r.t, in)}
	r.must(chromedp.Listen(p.ctx, p.note))
	p.do(append(actions, chromedp.Navigate(url))...)
	return p
}

// note is called for every event of the tab, from the loop that reads them.
func (p *tab) note(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
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

// found is what went wrong so far, other than requests that were not answered with success: in an outage they aren't.
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

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	p.must(browser.Do(p.ctx, actions...))
}

// click presses the mouse on an element, once it is there and visible.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// look evaluates an expression on the page and decodes its JSON.
func look[T any](p *tab, expression string) (T, error) {
	return browser.Look[T](p.ctx, expression)
}

// until waits until the page shows what is asked for.
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
