package report

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"petvote/infra/browser"
	"petvote/infra/testenv"
	"petvote/scripts/chaos/record"
)

// measure finds what a reader would object to: a page wider than the window, a table or chart that leaves its card,
// texts of a chart that touch, and texts with too little contrast to their background.
const measure = `(() => {
	const found = [], box = e => e.getBoundingClientRect();
	const over = document.documentElement.scrollWidth - innerWidth;
	if (over > 0) found.push(over + " px wider than the window");
	for (const e of document.querySelectorAll("table, .timeline, .timeline *")) {
		if (box(e).right > box(e.closest("section")).right - 2) found.push(e.className + " leaves its card");
	}
	for (const figure of document.querySelectorAll(".timeline")) {
		const texts = [...figure.querySelectorAll(".row b, .row li, .line-tick, .seconds span")].map(e => {
			const range = document.createRange();
			range.selectNodeContents(e);
			return { said: e.textContent, box: box(range), within: e.parentElement };
		});
		texts.forEach(({ said, box: a, within }, i) => {
			for (const { said: other, box: b, within: beside } of texts.slice(i + 1)) {
				if (within.contains(beside) || beside.contains(within) && within !== beside) continue;
				if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
					Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3) found.push(said + " touches " + other);
			}
		});
	}
	const parts = color => color.match(/[\d.]+/g).map(Number);
	const light = color => {
		const [r, g, b] = parts(color).map(v => v / 255).map(v => v > 0.04045 ? ((v + 0.055) / 1.055) ** 2.4 : v / 12.92);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const behind = e => {
		const color = getComputedStyle(e).backgroundColor;
		return parts(color)[3] !== 0 ? color : behind(e.parentElement);
	};
	const weak = new Set();
	for (const e of document.querySelectorAll("main *")) {
		if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.getClientRects().length) continue;
		const a = light(getComputedStyle(e).color), b = light(behind(e));
		const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (contrast < 4.5) weak.add(e.localName + "." + e.className + " has a contrast of " + contrast.toFixed(1));
	}
	return [...found, ...weak];
})()`

func TestThePageCanBeReadInEachWidthAndTheme(t *testing.T) {
	testenv.Slow(t)
	dir := t.TempDir()
	tab := browser.NewTab(t, browser.Open(t, ""))
	for _, run := range []struct {
		name string
		*record.Run
		themes []string
	}{
		{"held", exampleRun("real"), []string{"light", "dark"}}, {"lost", exampleRun("naive"), []string{"light", "dark"}},
		{"much", exampleMuch(), []string{"light"}},
	} {
		testenv.Must(t, Write(dir, run.Run))
		for _, theme := range run.themes {
			for _, width := range []int64{320, 390, 768, 1281, 1920} {
				show(t, tab, width, theme, filepath.Join(dir, "report.html"))
				found, err := browser.Look[[]string](tab, measure)
				if err != nil || len(found) > 0 {
					t.Errorf("%s, %s, %d: %v\n\t%s", run.name, theme, width, err, strings.Join(found, "\n\t"))
				}
			}
		}
	}
}

func TestThePointerReadsTheChart(t *testing.T) {
	dir := t.TempDir()
	testenv.Must(t, Write(dir, exampleRun("real")))
	tab := browser.NewTab(t, browser.Open(t, ""))
	show(t, tab, 1280, "light", filepath.Join(dir, "report.html"))
	said, err := browser.Look[[]string](tab, `(() => {
		const figure = document.querySelector(".timeline"), reading = figure.querySelector(".reading");
		const before = reading.checkVisibility(), box = figure.querySelector(".track").getBoundingClientRect();
		const clientX = box.left + 9.9 / 25 * box.width;
		figure.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY: box.top + 200, bubbles: true }));
		return [String(before), reading.textContent];
	})()`)
	if err != nil || len(said) != 2 || said[0] != "false" || !strings.HasPrefix(said[1], "At 10 s: 188 accepted") ||
		!strings.Contains(said[1], "in the queue") {
		t.Errorf("%q, %v", said, err)
	}
}

// show opens a file in a window of a width and a theme.
func show(t *testing.T, tab context.Context, width int64, theme, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, 10*time.Second)
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: 900, DeviceScaleFactor: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}); err != nil {
		t.Fatal(err)
	}
	testenv.Must(t, browser.Do(tab, chromedp.Navigate("file://"+path)))
}
