// Package browser opens headless Chromiums for tests of the pages.
package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"petvote/infra/testenv"
)

// find returns the path of a Chromium that obeys the preferences in a profile, or need not. CHROME may name another
// browser. The headless shell, Chromium without a browser's user interface, does not obey them, but takes a third of
// the CPU.
func find(t testing.TB, preferences bool) string {
	t.Helper()
	names := []string{os.Getenv("CHROME"), "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome",
		"google-chrome-stable", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"}
	if preferences {
		names = slices.Delete(names, 1, 2)
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	testenv.Missing(t, "chromium")
	return ""
}

// Open opens a headless browser until the test's end, with preferences (the JSON of Chromium's file of that name; "":
// none) and more flags. It writes into a folder that is removed even if the test program is killed. NewTab takes the
// context.
func Open(t testing.TB, preferences string, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	path, dir := find(t, preferences != ""), testenv.NewFolder(t)
	profile := filepath.Join(dir, "profile")
	if preferences != "" {
		home := filepath.Join(profile, "Default")
		file := filepath.Join(home, "Preferences")
		testenv.Must(t, errors.Join(os.MkdirAll(home, 0o700), os.WriteFile(file, []byte(preferences), 0o600)))
	}
	flags := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.DisableGPU,
		chromedp.UserDataDir(profile), chromedp.WindowSize(1280, 900), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP *.lan 127.0.0.1"), // names that are no secure context, unlike localhost
		chromedp.Flag("disable-crash-reporter", true), chromedp.NoInheritEnv,
		chromedp.Env("TMPDIR="+dir, "HOME="+dir, "PATH="+os.Getenv("PATH"), "LANG=C.UTF-8", "TZ=UTC"))
	if os.Geteuid() == 0 {
		flags = append(flags, chromedp.NoSandbox) // Chromium has no sandbox for root
	}
	flags = append(flags, more...)
	// Not the test's context, which ends before the clean-up does.
	allocator, release := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		closing, done := context.WithTimeout(ctx, limit)
		err := chromedp.Cancel(closing)
		done()
		cancel()
		release()
		left, psErr := exec.Command("ps", "-ewwo", "args").Output()
		if psErr == nil && strings.Contains(string(left), "--user-data-dir="+profile) {
			psErr = errors.New("it left processes behind")
		}
		if err := errors.Join(err, psErr); err != nil {
			t.Errorf("close the browser: %v", err)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // starts it
		t.Fatalf("start the browser: %v", err)
	}
	return ctx
}

// NewTab opens an empty tab until the test's end. If the test fails, it takes a picture of the tab.
func NewTab(t testing.TB, browser context.Context) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // opens it; the context that does must live as long as the tab
		t.Fatalf("open a tab: %v", err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		shot := filepath.Join(t.ArtifactDir(), fmt.Sprintf("tab-%p.png", ctx))
		within, done := context.WithTimeout(ctx, 10*time.Second) // a page that hangs gives no picture
		defer done()
		image, err := chromedp.Run(within, chromedp.FullScreenshot(100))
		if err == nil && os.WriteFile(shot, image, 0o644) == nil {
			t.Logf("a tab at the end: %s (kept with go test -artifacts)", shot)
		}
	})
	return ctx
}

// limit bounds what a tab is asked to do, also on a busy machine.
const limit = 30 * time.Second

// Do runs actions in a tab, within 30 s.
func Do(tab context.Context, actions ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(tab, limit)
	defer cancel()
	return chromedp.Do(ctx, actions...)
}

// Look evaluates an expression on a tab's page and decodes its JSON, within 30 s.
func Look[T any](tab context.Context, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(tab, limit)
	defer cancel()
	var into T
	raw, err := chromedp.Run(ctx, chromedp.Evaluate[string]("JSON.stringify("+expression+")"))
	if err == nil {
		err = json.Unmarshal([]byte(raw), &into)
	}
	return into, err
}
