package systemtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"petvote/infra/browser"
	"petvote/shared/ballot"
)

// breakages are the ways in which browsers fail the pages' scripts: a name is absent, refuses to be read, or is a
// function that throws, rejects or does nothing, or a connection on which nothing arrives. Each is a function.
const breakages = `(() => {
	const refusal = () => new DOMException('refused by the test', 'SecurityError');
	const define = (owner, name, property) => Object.defineProperty(owner, name, { configurable: true, ...property });
	return {
		absent: (owner, name) => define(owner, name, { value: undefined }),
		refused: (owner, name) => define(owner, name, { get() { throw refusal(); } }),
		throwing: (owner, name) => define(owner, name, { value: function () { throw refusal(); } }),
		rejecting: (owner, name) => define(owner, name, { value: () => Promise.reject(refusal()) }),
		idle: (owner, name) => define(owner, name, { value() {} }),
		mute: (owner, name) => define(owner, name, { value: class extends EventTarget {
			constructor() { super(); setTimeout(() => this.dispatchEvent(new Event('open'))); }
			close() {}
		} }),
	};
})()`

// broken is a browser API and the ways in which a browser may lack it.
type broken struct{ owner, name, ways string }

// privateWindow returns the context of tabs with a storage of their own.
func (r *rig) privateWindow(b context.Context) context.Context {
	r.t.Helper()
	private, cancel := chromedp.NewContext(b, chromedp.WithNewBrowserContext())
	r.t.Cleanup(cancel)
	r.must(browser.Do(private))
	return private
}

// openWithout opens a page in a context of its own, as private windows have one, after an API has been broken.
func (r *rig) openWithout(b context.Context, url string, api broken, way string) *tab {
	r.t.Helper()
	script := fmt.Sprintf("%s.%s(%s, %q)", breakages, way, api.owner, api.name)
	return r.open(r.privateWindow(b), url, func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument,
			page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return chromedp.Void{}, err
	})
}

func TestBrowserAVoteIsKeptAndSentAgainWhateverTheBrowserRefuses(t *testing.T) {
	t.Parallel()
	r, _ := traced(t)
	b := r.browser()
	pages := pages{}
	for _, api := range []broken{
		{"window", "localStorage", "refused"},
		{"Storage.prototype", "setItem", "throwing idle"},
		{"Storage.prototype", "getItem", "throwing"},
		{"Storage.prototype", "removeItem", "throwing"},
		{"window", "BroadcastChannel", "absent throwing"},
		{"BroadcastChannel.prototype", "postMessage", "throwing"},
		{"navigator", "locks", "absent"},
		{"LockManager.prototype", "request", "rejecting"},
		{"LockManager.prototype", "query", "rejecting"},
		{"window", "crypto", "absent"},
		{"window", "AbortSignal", "absent"},
		{"window", "performance", "absent"},
		{"window", "matchMedia", "absent"},
		{"MediaQueryList.prototype", "addEventListener", "absent"},
		{"Element.prototype", "animate", "absent"},
		{"History.prototype", "replaceState", "throwing"},
		{"Document.prototype", "cookie", "refused"},
		{"window", "BigInt", "absent"},
	} {
		for way := range strings.FieldsSeq(api.ways) {
			pages[api.owner+"."+api.name+" "+way] = r.openWithout(b, r.Vote.URL("/?problem=invalid"), api, way)
		}
	}
	form := r.openWithout(b, r.Vote.URL("/"), broken{owner: "window", name: "fetch"}, "absent")
	for name, p := range pages {
		p.click("#theme-switch")
		p.run(`document.dispatchEvent(new Event('visibilitychange'))`)
		dark, err := look[bool](p, `document.getElementById('theme-switch').ariaPressed === 'true'`)
		if err != nil || !dark {
			t.Errorf("%s: the theme is lost, %v", name, err)
		}
	}
	r.must(r.Redis.Kill())
	for _, p := range pages {
		p.click(choice(ballot.Cats))
	}
	form.click(choice(ballot.Cats))
	until(form, readVotePage, func(v votePage) bool {
		return v.State == "refused" && strings.HasPrefix(v.Text, "Your vote could not be taken just now.")
	})
	pages.all(r, func(_ string, v votePage) bool { return v.State == "waiting" && v.Waiting == 1 })
	r.must(r.Redis.Start(t.Context()))
	pages.all(r, func(_ string, v votePage) bool { return accepted(v) && v.Waiting == -1 && arrived(v.Journey) })
	form.click("#retry button")
	until(form, readVotePage, acceptedFor(ballot.Cats))
	r.drained()
	if stored := len(r.stored()); stored != len(pages)+1 {
		t.Errorf("stored: %d votes, want %d", stored, len(pages)+1)
	}
	for name, p := range pages {
		if problems, _ := p.found(); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// pages are voting pages, by their peculiarity.
type pages map[string]*tab

// all waits until every page is in its wanted state.
func (all pages) all(r *rig, want func(name string, v votePage) bool) {
	r.t.Helper()
	r.eventually(func() (others error) {
		for name, p := range all {
			if v, err := readVotePage(p); err != nil || !want(name, v) {
				others = errors.Join(others, fmt.Errorf("%s: the page shows %+v, %v", name, v, err))
			}
		}
		return others
	})
}

// siteDataBlocked are the preferences of a browser that refuses cookies and storage.
const siteDataBlocked = `{"profile":{"default_content_setting_values":{"cookies":2}}}`

// plainName lets a browser open the addresses that plain returns.
var plainName = chromedp.Flag("host-resolver-rules", "MAP pets.test 127.0.0.1")

// plain returns the address of a page under a name, over plain HTTP: browsers trust it less than a loopback address.
func plain(url string) string { return strings.Replace(url, "127.0.0.1", "pets.test", 1) }

func TestBrowserAVoteIsKeptAndSentAgainWithoutSiteDataAndOverPlainHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	usual, blocking := browser.Open(t, "", plainName), browser.Open(t, siteDataBlocked, plainName)
	url := r.Vote.URL("/")
	pages := pages{
		"plain": r.open(usual, plain(url)), "private": r.open(r.privateWindow(usual), url),
		"blocked": r.open(blocking, url), "blocked plain": r.open(blocking, plain(url)),
	}
	for name, p := range pages {
		secure, err := look[bool](p, `isSecureContext && !!navigator.locks`)
		if err != nil || secure == strings.Contains(name, "plain") {
			t.Errorf("%s: secure is %t, %v", name, secure, err)
		}
	}
	r.must(r.Redis.Kill())
	for _, p := range pages {
		p.click(choice(ballot.Lizards))
	}
	pages.all(r, func(name string, v votePage) bool {
		kept := "is kept in this browser, because"
		if strings.HasPrefix(name, "blocked") {
			kept = "is kept as long as this page is open, because"
		}
		return v.State == "waiting" && v.Waiting == 1 && strings.Contains(v.Text, kept)
	})
	for name, p := range pages { // what the page says beside the button, and whether it may be closed without a question
		kept, err := look[[2]bool](p, `[document.getElementById('waiting-where').textContent === 'in this browser',
			dispatchEvent(new Event('beforeunload', { cancelable: true }))]`)
		if blocked := strings.HasPrefix(name, "blocked"); err != nil || kept != [2]bool{!blocked, !blocked} {
			t.Errorf("%s: kept %v, %v", name, kept, err)
		}
	}
	pages["private"].run(`localStorage.clear()`) // as a person may, in the browser's settings
	r.must(r.Redis.Start(t.Context()))
	pages.all(r, func(_ string, v votePage) bool { return accepted(v) && v.Waiting == -1 && arrived(v.Journey) })
	r.drained()
	if stored := len(r.stored()); stored != len(pages) {
		t.Errorf("stored: %d votes, want %d", stored, len(pages))
	}
	for name, p := range pages {
		// Over plain HTTP Chromium complains of a header.
		if problems, _ := p.found(); !strings.HasSuffix(name, "plain") && len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
		if kept, err := look[bool](p, `dispatchEvent(new Event('beforeunload', { cancelable: true }))`); err != nil || !kept {
			t.Errorf("%s: without votes to send, closing it asks: %v", name, err)
		}
	}
}

func TestBrowserTheResultsMoveWhateverTheBrowserRefuses(t *testing.T) {
	t.Parallel()
	r, _ := traced(t)
	b := r.browser()
	tabs := map[string]*tab{}
	for _, api := range []broken{
		{"window", "BroadcastChannel", "absent throwing"},
		{"BroadcastChannel.prototype", "postMessage", "throwing idle"},
		{"window", "EventSource", "absent throwing mute"},
		{"window", "ResizeObserver", "absent"},
		{"window", "requestAnimationFrame", "absent"},
		{"window", "performance", "absent"},
		{"AbortSignal", "timeout", "absent"},
		{"window", "matchMedia", "absent"},
		{"window", "localStorage", "refused"},
		{"Document.prototype", "cookie", "refused"},
	} {
		for way := range strings.FieldsSeq(api.ways) {
			tabs[api.owner+"."+api.name+" "+way] = r.openWithout(b, r.Result.URL("/"), api, way)
		}
	}
	for votes := range int64(2) {
		r.vote(ballot.Dogs)
		r.eventually(func() (others error) {
			for name, p := range tabs {
				v, err := readResultPage(p)
				if err != nil || v.Banner != "" || v.Counts.Dogs != votes+1 {
					others = errors.Join(others, fmt.Errorf("%s: the page shows %+v, %v", name, v, err))
				}
			}
			return others
		})
	}
	for name, p := range tabs {
		p.visible("#chart svg")
		if problems, _ := p.found(); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
		streams := !strings.HasPrefix(name, "window.EventSource") || strings.HasSuffix(name, "mute")
		if v, err := readResultPage(p); err != nil || live(v) != streams {
			t.Errorf("%s: the page shows %+v, %v", name, v, err)
		}
	}
}
