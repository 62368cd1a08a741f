package systemtest

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/google/uuid"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

// unknownVote is the id of no vote.
const unknownVote = "01a20acb-5695-7d8b-96f5-4a7de91d251e"

// In every state of the pages nothing is wider than the window or cut off, down to 320 px, which a zoom of 400 % leaves
// of 1280, with larger fonts, and with the largest tally. And axe-core, if npm is there, finds nothing on a light page
// of a telephone and a dark one of a desktop. go test ./infra/systemtest -run EveryState -artifacts -outputdir DIR
// writes a picture for each view and theme.
func TestBrowserEveryStateIsAccessible(t *testing.T) {
	t.Parallel()
	r := newRig(t, withEnv("JAEGER_UI_URL=http://127.0.0.1:16686"))
	b := r.browser()
	g := &gallery{rig: r, axe: axeSource(t)}

	results := r.open(b, r.Result.URL("/"))
	until(results, readResultPage, live)
	results.visible("#history")
	g.look("results-empty", results)

	r.anHourOfVotes(ballot.Counts{Dogs: 61200, Cats: 52700, Lizards: 17800})
	until(results, readResultPage, func(v resultPage) bool { return v.Counts.Dogs == 61200 })
	results.reload() // for the history at once
	results.visible("#history")
	until(results, readResultPage, live)
	g.look("results-live", results)
	results.click("#as-table summary")
	results.visible("#as-table tbody tr")
	g.look("results-table", results)

	vote := r.open(b, r.Vote.URL("/"))
	g.look("vote-idle", vote)
	vote.click(choice(ballot.Dogs))
	said := until(vote, readVotePage, func(v votePage) bool { return arrived(v.Journey) })
	g.look("vote-accepted", vote)
	g.look("receipt-shown", r.open(b, said.Links["Receipt"]))
	g.look("receipt-unknown", r.open(b, r.Result.URL("/votes/"+unknownVote)))

	vote.run(`document.querySelector('.choice[value=cats]').value = 'birds'`)
	vote.click(".choice[value=birds]")
	until(vote, readVotePage, func(v votePage) bool {
		return v.State == "refused" && states(v.Journey) == "failed open open open"
	})
	g.look("vote-refused", vote)
	vote.run(`document.querySelector('.choice[value=birds]').value = 'cats'`)
	g.look("vote-notice", r.open(b, r.Vote.URL("/?problem=unavailable&pet=cats&vote="+unknownVote)))
	dead := uuid.Must(uuid.NewV7()).String()
	r.must(r.enqueue("id", dead, "vote", "birds", "cast_at", time.Now().UTC().Format(time.RFC3339Nano)))
	r.drained()
	g.look("receipt-given-up", r.open(b, r.Result.URL("/votes/"+dead)))

	r.must(r.Worker.Kill())
	vote.click(choice(ballot.Lizards))
	said = until(vote, readVotePage, func(v votePage) bool {
		return accepted(v) && states(v.Journey) == "done done now open" && v.Links["Receipt"] != said.Links["Receipt"]
	})
	g.look("vote-queued", vote)
	g.look("receipt-queued", r.open(b, said.Links["Receipt"]))

	kiosk := r.open(b, r.Result.URL("/?kiosk"))
	until(kiosk, readResultPage, live)
	kiosk.visible("#history")
	g.look("results-kiosk", kiosk)

	r.anHourOfVotes(ballot.Counts{Dogs: 312, Cats: 1207411, Lizards: 4})
	landslide := r.open(b, r.Result.URL("/"))
	until(landslide, readResultPage, func(v resultPage) bool { return live(v) && v.Counts.Cats == 1207411 })
	landslide.visible("#history")
	g.look("results-landslide", landslide)

	r.anHourOfVotes(ballot.Counts{Dogs: math.MaxInt64 - 2, Cats: 1, Lizards: 1})
	most := r.open(b, r.Result.URL("/"))
	// A script's numbers have no more than 53 bits, so what it shows may be rounded.
	total := func(p *tab) (string, error) { return look[string](p, `document.getElementById('total').textContent`) }
	huge := func(total string) bool { return strings.HasPrefix(total, "9,223,372,036,854,77") }
	until(most, total, huge)
	most.visible("#connection[data-state=live]")
	most.click("#as-table summary")
	most.visible("#as-table tbody tr")
	g.look("results-most", most)
	until(kiosk, total, huge)
	g.look("results-kiosk-most", kiosk)
	r.anHourOfVotes(ballot.Counts{Dogs: 312, Cats: 1207411, Lizards: 4})
	for _, p := range []*tab{results, kiosk} { // they notice that counting has started again
		until(p, total, func(total string) bool { return total == "1,207,727" })
	}

	r.must(r.Postgres.Kill())
	until(results, readResultPage, stale)
	g.look("results-stale", results)
	until(kiosk, readResultPage, func(v resultPage) bool { return v.Banner != "" })
	g.look("results-kiosk-stale", kiosk)

	r.must(r.Redis.Kill())
	vote.click(choice(ballot.Cats))
	until(vote, readVotePage, func(v votePage) bool { return v.State == "waiting" && v.Waiting == 1 })
	g.look("vote-waiting", vote)
	r.must(r.Vote.Kill())
	vote.click(choice(ballot.Cats))
	until(vote, readVotePage, func(v votePage) bool { return v.State == "waiting" && v.Waiting == 2 })
	g.look("vote-offline", vote)

	r.must(r.Result.Kill())
	until(results, readResultPage, func(v resultPage) bool {
		return strings.HasPrefix(v.Banner, "The results service can't be reached")
	})
	g.look("results-cut-off", results)
}

// axeSource returns the text of axe-core, which is empty without npm.
func axeSource(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Log("npm is not installed: the pages are checked without axe-core")
		return ""
	}
	text, err := os.ReadFile(filepath.Join(npmPackages(t, "axe"), "node_modules", "axe-core", "axe.min.js"))
	testenv.Must(t, err)
	return string(text)
}

// visible waits until an element is there and visible.
func (p *tab) visible(selector string) {
	p.t.Helper()
	until(p, func(p *tab) (bool, error) {
		return look[bool](p, fmt.Sprintf(`!!document.querySelector(%q)?.checkVisibility()`, selector))
	}, func(visible bool) bool { return visible })
}

// gallery checks pages in their sizes and themes.
type gallery struct {
	*rig
	axe string
}

// view is a size of the window and of the browser's default font, in CSS px.
type view struct{ width, height, font int64 }

var (
	telephone = view{360, 740, 16}
	desktop   = view{1440, 900, 16}
	views     = []view{{320, 640, 16}, telephone, {768, 1024, 16}, desktop, {320, 640, 24}, {360, 740, 20}, {390, 844, 24}}
)

// cutOff lists the texts of a page that reach out of the window or of what they stand in, and those that cover others.
const cutOff = `(() => {
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
	const found = [], seen = [];
	while (walker.nextNode()) {
		const node = walker.currentNode, text = node.textContent.trim(), parent = node.parentElement;
		if (!text || parent.closest('.visually-hidden, .scroll')) continue;
		if (!parent.checkVisibility({ visibilityProperty: true })) continue;
		const frame = parent.closest('svg, .card, .choice, .note, .button, body').getBoundingClientRect();
		range.selectNodeContents(node);
		for (const box of range.getClientRects()) {
			const left = Math.max(frame.left, 0) - 0.5, right = Math.min(frame.right, innerWidth) + 0.5;
			if (box.left < left || box.right > right) found.push(text);
			const covers = (other) => other.node !== node && box.left < other.box.right - 1 && box.right > other.box.left + 1 &&
				box.top < other.box.bottom - 4 && box.bottom > other.box.top + 4; // lines are higher than their letters
			found.push(...seen.filter(covers).map((other) => text + ' covers ' + other.text));
			seen.push({ node, text, box });
		}
	}
	return found;
})()`

func (g *gallery) look(state string, p *tab) {
	g.t.Helper()
	pictures := flag.Lookup("test.artifacts").Value.String() == "true"
	for _, theme := range []string{"light", "dark"} {
		for _, v := range views {
			check := map[string]view{"light": telephone, "dark": desktop}[theme] == v
			if !pictures && !check && theme == "dark" {
				continue // as wide as in the light theme
			}
			name := fmt.Sprintf("%s-%s-%d-%d", state, theme, v.width, v.font)
			p.resize(v, theme)
			if over, err := look[int](p, `document.documentElement.scrollWidth - innerWidth`); err != nil || over > 0 {
				g.t.Errorf("%s: %d px wider than the window, %v", name, over, err)
			}
			if cut, err := look[[]string](p, cutOff); err != nil || len(cut) > 0 {
				g.t.Errorf("%s: cut off: %q, %v", name, cut, err)
			}
			if check && g.axe != "" {
				g.wantNoViolations(name, p)
			}
			if pictures && (v.width > 320 || theme == "light") {
				picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
				g.must(err)
				g.must(os.WriteFile(filepath.Join(g.t.ArtifactDir(), name+".png"), picture, 0o644))
			}
		}
	}
}

// resize gives the tab a size, a default font, a theme, and no motion.
func (p *tab) resize(v view, theme string) {
	p.t.Helper()
	size := emulation.SetDeviceMetricsOverrideParams{Width: v.width, Height: v.height, DeviceScaleFactor: 1}
	fonts := page.SetFontSizesParams{FontSizes: &page.FontSizes{Standard: v.font}}
	// Two frames, so that what follows the size has been drawn.
	const drawn = `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))`
	p.do(command(emulation.SetDeviceMetricsOverride, size), command(page.SetFontSizes, fonts),
		prefers("color-scheme", theme, "reduced-motion", "reduce"),
		chromedp.Evaluate[chromedp.Void](drawn, chromedp.EvalAwaitPromise))
}

// wantNoViolations runs axe-core with the rules of WCAG 2.2 AA and those of good practice.
func (g *gallery) wantNoViolations(name string, p *tab) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`(async () => {
		if (!window.axe) { `+g.axe+` }
		const { violations } = await window.axe.run(document, {
			runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'],
		});
		return violations.flatMap((v) => v.nodes.map((n) => v.id + ' (' + v.help + '): ' + n.html + ' ' + n.failureSummary));
	})()`, chromedp.EvalAwaitPromise))
	g.must(err)
	for _, violation := range found {
		g.t.Errorf("%s: %s", name, violation)
	}
}

// anHourOfVotes puts a tally into the database, and a past hour that could have led to it.
func (r *rig) anHourOfVotes(total ballot.Counts) {
	r.t.Helper()
	for i, pet := range ballot.Choices() {
		// A tide of its own for each pet, and some noise.
		r.sql(`insert into history (minute, pet, votes)
			select date_trunc('minute', now()) - m * interval '1 minute', $1,
				greatest(0, $2::float / 90 * (1 + 0.6 * sin(m / (7.0 + 2 * $3) + $3) + 0.25 * sin(m * (2.1 + $3))))::bigint
			from generate_series(0, 59) as m
			on conflict (minute, pet) do update set votes = excluded.votes`, string(pet), total.Of(pet), i)
	}
	r.setTally(total)
}
