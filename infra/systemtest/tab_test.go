package systemtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// findBrowser gives the path of a Chromium. Where there is none the test fails: one that skips would prove nothing.
func findBrowser(t testing.TB) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROME"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	t.Fatal("Chromium is not installed: run ./infra/packages/install chromium (Debian, Ubuntu), dnf install chromium (Fedora) " +
		"or brew install chromium (macOS), or set CHROME to the path of a browser")
	return ""
}

// browser opens a headless browser with an empty profile, which is closed with the test. All that it writes is in the
// folder of the test program's servers, so that it goes even if the test program is killed.
func (r *rig) browser() context.Context {
	r.t.Helper()
	path := findBrowser(r.t)
	dir, err := os.MkdirTemp(filepath.Dir(r.redis.Dir()), "browser-")
	r.must(err)
	r.t.Setenv("TMPDIR", dir) // where chromedp and the browser put what they need
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-crash-reporter", true), chromedp.NoInheritEnv,
		chromedp.Env("TMPDIR="+dir, "HOME="+dir, "PATH="+os.Getenv("PATH"), "LANG=C.UTF-8", "TZ=UTC"))
	if os.Geteuid() == 0 {
		flags = append(flags, chromedp.NoSandbox) // Chromium has no sandbox for root
	}
	// Not the test's context, which ends before the clean-up does.
	allocator, release := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, cancel := chromedp.NewContext(allocator)
	r.t.Cleanup(func() {
		closing, done := context.WithTimeout(ctx, 10*time.Second)
		err := chromedp.Cancel(closing)
		done()
		cancel()
		release()
		left, psErr := exec.Command("ps", "-ewwo", "args").Output()
		if psErr == nil && strings.Contains(string(left), "--user-data-dir="+dir) {
			psErr = errors.New("it left processes behind")
		}
		if err := errors.Join(err, psErr, os.RemoveAll(dir)); err != nil {
			r.t.Errorf("close the browser: %v", err)
		}
	})
	r.must(chromedp.Do(ctx)) // starts it
	return ctx
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
func (r *rig) open(browser context.Context, url string, actions ...chromedp.Action[chromedp.Void]) *tab {
	r.t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	r.t.Cleanup(cancel)
	p := &tab{rig: r, ctx: ctx}
	r.must(chromedp.Listen(ctx, p.note))
	p.do(append(actions, chromedp.Navigate(url))...)
	r.t.Cleanup(func() {
		if !r.t.Failed() {
			return
		}
		shot := filepath.Join(r.t.ArtifactDir(), fmt.Sprintf("tab-%p.png", p))
		if image, err := chromedp.Run(ctx, chromedp.FullScreenshot(100)); err == nil && os.WriteFile(shot, image, 0o644) == nil {
			r.t.Logf("the tab of %s at the end: %s (kept with go test -artifacts)", url, shot)
		}
	})
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
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	p.must(chromedp.Do(ctx, actions...))
}

// click presses the mouse on an element, once it is there and visible.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// look evaluates an expression on the page and decodes its JSON.
func look[T any](p *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	var into T
	raw, err := chromedp.Run(ctx, chromedp.Evaluate[string]("JSON.stringify("+expression+")"))
	if err == nil {
		err = json.Unmarshal([]byte(raw), &into)
	}
	return into, err
}

// until waits until the page shows what is asked for.
func until[T any](p *tab, within time.Duration, seen func(*tab) (T, error), want func(T) bool) T {
	p.t.Helper()
	var last T
	p.eventually(within, func() error {
		var err error
		if last, err = seen(p); err == nil && !want(last) {
			err = fmt.Errorf("the page shows %+v", last)
		}
		return err
	})
	return last
}
