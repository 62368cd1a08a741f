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
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// Every state of the pages is looked at by an accessibility engine, where npm can bring it, in both themes and at three
// widths, and leaves a picture of each: go test ./infra/systemtest -run EveryState -artifacts -outputdir DIR keeps them.
// Nothing may be wider than the window, at 320 px neither, which is what is left of 1280 at a zoom of 400 %.
func TestBrowserEveryStateIsAccessible(t *testing.T) {
	t.Parallel()
	r := newRig(t, withEnv("JAEGER_UI_URL=http://127.0.0.1:16686"))
	b := r.browser()
	g := &gallery{rig: r, axe: axeSource(t)}

	results := r.open(b, r.Result.URL("/"))
	until(results, readResultPage, live)
	results.shown("#history")
	g.look("results-empty", results)

	r.anHourOfVotes(ballot.Counts{Dogs: 61200, Cats: 52700, Lizards: 17800})
	until(results, readResultPage, func(v resultPage) bool { return v.Counts.Dogs == 61200 })
	results.do(chromedp.Reload()) // for the history at once
	results.shown("#history")
	until(results, readResultPage, live)
	g.look("results-live", results)
	results.click("#as-table summary")
	results.shown("#as-table tbody tr")
	g.look("results-table", results)

	vote := r.open(b, r.Vote.URL("/"))
	g.look("vote-idle", vote)
	vote.click(choice(ballot.Dogs))
	said := until(vote, readVotePage, func(v votePage) bool { return states(v.Journey) == "done done done done" })
	g.look("vote-accepted", vote)
	g.look("receipt-shown", r.open(b, said.Links["Receipt"]))
	g.look("receipt-unknown", r.open(b, r.Result.URL("/votes/01a20acb-5695-7d8b-96f5-4a7de91d251e")))

	_, err := look[bool](vote, `(() => { document.querySelector('.choice[value=cats]').value = 'birds'; return true; })()`)
	r.must(err)
	vote.click(".choice[value=birds]")
	until(vote, readVotePage, func(v votePage) bool { return v.State == "refused" && states(v.Journey) == "failed open open open" })
	g.look("vote-refused", vote)
	_, err = look[bool](vote, `(() => { document.querySelector('.choice[value=birds]').value = 'cats'; return true; })()`)
	r.must(err)
	g.look("vote-notice", r.open(b, r.Vote.URL("/?problem=unavailable&pet=cats&vote=01a20acb-5695-7d8b-96f5-4a7de91d251e")))
	g.look("receipt-given-up", r.open(b, r.Result.URL("/votes/"+r.givenUp())))

	r.must(r.Worker.Kill())
	vote.click(choice(ballot.Lizards))
	said = until(vote, readVotePage, func(v votePage) bool {
		return accepted(v) && states(v.Journey) == "done done now open" && v.Links["Receipt"] != said.Links["Receipt"]
	})
	g.look("vote-queued", vote)
	g.look("receipt-queued", r.open(b, said.Links["Receipt"]))

	kiosk := r.open(b, r.Result.URL("/?kiosk"))
	until(kiosk, readResultPage, live)
	kiosk.shown("#history")
	g.look("results-kiosk", kiosk)

	r.anHourOfVotes(ballot.Counts{Dogs: 312, Cats: 1207411, Lizards: 4})
	landslide := r.open(b, r.Result.URL("/"))
	until(landslide, readResultPage, func(v resultPage) bool { return live(v) && v.Counts.Cats == 1207411 })
	landslide.shown("#history")
	g.look("results-landslide", landslide)

	r.must(r.Postgres.Kill())
	until(results, readResultPage, func(v resultPage) bool { return strings.HasPrefix(v.Banner, "The votes can't be read") })
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
	until(results, readResultPage, func(v resultPage) bool { return strings.HasPrefix(v.Banner, "The results service can't be reached") })
	g.look("results-cut-off", results)
}

// givenUp makes a dead letter and returns the vote's id.
func (r *rig) givenUp() string {
	r.t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	r.must(r.RDB.XAdd(r.t.Context(), &redis.XAddArgs{Stream: votestream.Stream, Values: map[string]any{
		"id": id, "vote": "birds", "cast_at": time.Now().UTC().Format(time.RFC3339Nano),
	}}).Err())
	r.eventually(func() error {
		st, err := r.Queue.Stats(r.t.Context())
		if err == nil && st.DeadNow == 0 {
			err = errors.New("no dead letter yet")
		}
		return err
	})
	return id
}

// axeSource is the engine's program text, empty where there is no npm to bring it.
func axeSource(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Log("npm is not installed: the pages are looked at without axe-core")
		return ""
	}
	text, err := os.ReadFile(filepath.Join(npmPackages(t, "axe"), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shown waits until an element is there and visible.
func (p *tab) shown(selector string) {
	p.t.Helper()
	until(p, func(p *tab) (bool, error) {
		return look[bool](p, fmt.Sprintf(`!!document.querySelector(%q)?.checkVisibility()`, selector))
	}, func(visible bool) bool { return visible })
}

// gallery looks at pages in all their sizes and colours.
type gallery struct {
	*rig
	axe string
}

// violation is what the engine objects to.
type violation struct {
	Rule  string
	Nodes []string
}

var heights = map[int64]int64{320: 640, 360: 740, 768: 1024, 1440: 900}

func (g *gallery) look(state string, p *tab) {
	g.t.Helper()
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{320, 360, 768, 1440} {
			name := fmt.Sprintf("%s-%s-%d", state, theme, width)
			p.resize(width, theme)
			if over, err := look[int](p, `document.documentElement.scrollWidth - innerWidth`); err != nil || over > 0 {
				g.t.Errorf("%s: %d px wider than the window, %v", name, over, err)
			}
			if width == 320 { // no picture: it is there for those who zoom
				continue
			}
			if g.axe != "" {
				found, err := p.violations(g.axe)
				if err != nil {
					g.t.Errorf("%s: %v", name, err)
				}
				for _, v := range found {
					g.t.Errorf("%s: %s: %s", name, v.Rule, strings.Join(v.Nodes, "\n\t"))
				}
			}
			picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
			g.must(err)
			g.must(os.WriteFile(filepath.Join(g.t.ArtifactDir(), name+".png"), picture, 0o644))
		}
	}
}

// resize gives the tab a width, a theme, and no motion.
func (p *tab) resize(width int64, theme string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: heights[width], DeviceScaleFactor: 1,
	})
	p.must(err)
	_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	p.must(err)
	// Two frames, so that what follows the size has been drawn.
	_, err = chromedp.Run(ctx, chromedp.Evaluate[bool](
		`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, chromedp.EvalAwaitPromise))
	p.must(err)
}

// violations runs the engine with the rules of WCAG 2.2 AA and those of good practice.
func (p *tab) violations(axe string) ([]violation, error) {
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	raw, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(async () => {
		if (!window.axe) { `+axe+` }
		const { violations } = await window.axe.run(document, {
			runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'],
		});
		return JSON.stringify(violations.map((v) => ({ Rule: v.id + ' (' + v.help + ')', Nodes: v.nodes.map((n) => n.html + ' ' + n.failureSummary) })));
	})()`, chromedp.EvalAwaitPromise))
	if err != nil {
		return nil, err
	}
	var found []violation
	return found, json.Unmarshal([]byte(raw), &found)
}

// anHourOfVotes puts a tally into the database, and a past hour that could have led to it.
func (r *rig) anHourOfVotes(total ballot.Counts) {
	r.t.Helper()
	ctx := r.t.Context()
	conn, err := pgx.Connect(ctx, r.Postgres.URL())
	r.must(err)
	defer conn.Close(ctx)
	for i, pet := range ballot.Choices() {
		// A tide of its own for each pet, and some noise.
		_, err := conn.Exec(ctx, `
			insert into history (minute, pet, votes)
			select date_trunc('minute', now()) - m * interval '1 minute', $1,
				greatest(0, $2::float / 90 * (1 + 0.6 * sin(m / (7.0 + 2 * $3) + $3) + 0.25 * sin(m * (2.1 + $3))))::bigint
			from generate_series(0, 59) as m
			on conflict (minute, pet) do update set votes = excluded.votes`, string(pet), total.Of(pet), i)
		r.must(err)
		_, err = conn.Exec(ctx, `update tally set votes = $2 where pet = $1`, string(pet), total.Of(pet))
		r.must(err)
	}
	_, err = conn.Exec(ctx, `notify tally_changed`)
	r.must(err)
}
