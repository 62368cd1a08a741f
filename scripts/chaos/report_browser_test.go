package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"petvote/infra/browser"
)

// measure finds what a reader would object to: a page wider than the window, charts none or several of which are shown, texts of a
// chart that touch or leave it, and texts with too little contrast to what is behind them.
const measure = `(() => {
	const found = [];
	const over = document.documentElement.scrollWidth - innerWidth;
	if (over > 0) found.push(over + " px wider than the window");
	for (const table of document.querySelectorAll("table")) {
		if (table.getBoundingClientRect().right > table.closest("section").getBoundingClientRect().right - 8) found.push("table." + table.className + " leaves its card");
	}
	for (const figure of document.querySelectorAll(".timeline")) {
		const shown = [...figure.querySelectorAll(":scope > svg")].filter(svg => svg.getBoundingClientRect().width > 0);
		if (shown.length !== 1) { found.push(shown.length + " charts are shown"); continue; }
		const edge = shown[0].getBoundingClientRect();
		const texts = [...shown[0].querySelectorAll("text")].map(text => ({ said: text.textContent, box: text.getBoundingClientRect() }));
		texts.forEach(({ said, box: a }, i) => {
			if (a.left < edge.left || a.right > edge.right || a.bottom > edge.bottom + 1 || a.top < edge.top - 1) found.push(said + " leaves the chart");
			for (const { said: other, box: b } of texts.slice(i + 1)) {
				if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2) found.push(said + " touches " + other);
			}
		});
	}
	const parts = color => color.match(/[\d.]+/g).map(Number);
	const light = color => {
		const [r, g, b] = parts(color).map(v => v / 255).map(v => v > 0.04045 ? ((v + 0.055) / 1.055) ** 2.4 : v / 12.92);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (parts(c)[3] !== 0) return c; } return "rgb(255, 255, 255)"; };
	const weak = new Set();
	for (const e of document.querySelectorAll("main *")) {
		if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.getClientRects().length || e.localName === "title") continue;
		const style = getComputedStyle(e), a = light(e.namespaceURI.endsWith("svg") ? style.fill : style.color), b = light(behind(e));
		const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (contrast < 4.5) weak.add(e.localName + "." + (e.getAttribute("class") || "") + " has a contrast of " + contrast.toFixed(1));
	}
	return [...found, ...weak];
})()`

func TestThePageCanBeReadInEachWidthAndTheme(t *testing.T) {
	dir := t.TempDir()
	in := browser.Open(t)
	for _, run := range []struct {
		name string
		*record
		themes []string
	}{{"held", exampleRun("real"), []string{"light", "dark"}}, {"lost", exampleRun("naive"), []string{"light", "dark"}}, {"much", exampleMuch(), []string{"light"}}} {
		if err := run.write(filepath.Join(dir, run.name)); err != nil {
			t.Fatal(err)
		}
		tab := browser.NewTab(t, in)
		for _, theme := range run.themes {
			for _, width := range []int64{320, 390, 768, 1190, 1280, 1920} {
				name := fmt.Sprintf("%s-%s-%d", run.name, theme, width)
				show(t, tab, width, theme)
				if err := browser.Do(tab, chromedp.Navigate("file://"+filepath.Join(dir, run.name, "report.html"))); err != nil {
					t.Fatal(err)
				}
				found, err := browser.Look[[]string](tab, measure)
				if err != nil || len(found) > 0 {
					t.Errorf("%s: %v\n\t%s", name, err, strings.Join(found, "\n\t"))
				}
				if (width == 390 || width == 1280) && run.name != "much" { // which is very long
					picture(t, tab, name)
				}
			}
		}
		if run.name != "lost" {
			continue
		}
		ctx, cancel := context.WithTimeout(tab, 30*time.Second)
		defer cancel()
		paper, err := chromedp.Call(ctx, page.PrintToPDF, page.PrintToPDFParams{PrintBackground: new(true), PreferCSSPageSize: new(true)})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(t.ArtifactDir(), run.name+".pdf"), paper.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestThePointerReadsTheChart(t *testing.T) {
	dir := t.TempDir()
	if err := exampleRun("real").write(dir); err != nil {
		t.Fatal(err)
	}
	tab := browser.NewTab(t, browser.Open(t))
	show(t, tab, 1280, "light")
	if err := browser.Do(tab, chromedp.Navigate("file://"+filepath.Join(dir, "report.html"))); err != nil {
		t.Fatal(err)
	}
	said, err := browser.Look[[]string](tab, `(() => {
		const figure = document.querySelector(".timeline"), svg = figure.querySelector(".wide"), reading = figure.querySelector(".reading");
		const before = reading.checkVisibility();
		const { left, right, end } = svg.dataset, box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
		const x = box.left + scale * (Number(left) + 9.9 / end * (right - left));
		svg.dispatchEvent(new PointerEvent("pointermove", { clientX: x, clientY: box.top + 200, bubbles: true }));
		return [String(before), reading.textContent, svg.querySelector(".hand").getAttribute("d")];
	})()`)
	if err != nil || len(said) != 3 || said[0] != "false" || !strings.HasPrefix(said[1], "At 10 s: 188 accepted") || !strings.Contains(said[1], "waiting") || said[2] == "" {
		t.Errorf("%q, %v", said, err)
	}
}

// show gives the tab a width and a theme.
func show(t *testing.T, tab context.Context, width int64, theme string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, 10*time.Second)
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme},
	}}); err != nil {
		t.Fatal(err)
	}
}

// picture is kept with go test -artifacts.
func picture(t *testing.T, tab context.Context, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, 30*time.Second)
	defer cancel()
	image, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name+".png"), image, 0o644); err != nil {
		t.Fatal(err)
	}
}
