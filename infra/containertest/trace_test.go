//go:build containers

package containertest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"petvote/infra/browser"
	"petvote/infra/ledger"
	local "petvote/infra/platform"
	"petvote/infra/testenv"
)

// step is a span of a vote's journey, as it stands in a trace.
type step struct{ edge, name, kind string }

// tree is the trace of a vote that was cast and drawn in a browser. The first step is its only root.
var tree = []step{
	{"browser: cast vote < (root)", "cast vote", "client"},
	{"vote: POST /vote < cast vote", "POST /vote", "server"},
	{"vote: publish votes < POST /vote", "publish votes", "producer"},
	{"worker: process votes < publish votes", "process votes", "consumer"},
	{"worker: store votes < process votes", "store votes", "client"},
	{"result: push results < process votes", "push results", "consumer"},
	{"browser: render results < push results", "render results", "internal"},
}

// isTree checks that each step of the tree is in a trace once, of its kind and without an error, and that every other
// span has its parent there. Beneath the steps are the statements of PostgreSQL's client, which are not looked at.
func (j trace) isTree() error {
	edges := j.edges()
	for _, s := range tree {
		if edges[s.edge] != 1 || len(j.named(s.name)) != 1 {
			return fmt.Errorf("%q is not there, or not alone, in trace %s: %v", s.edge, j.TraceID, edges)
		}
		if one := j.named(s.name)[0]; one.kind() != s.kind || !one.wellEnded() {
			return fmt.Errorf("%s is not of kind %s or has an error: %+v", s.name, s.kind, one.Tags)
		}
	}
	for edge := range edges {
		if strings.HasSuffix(edge, "(missing)") || strings.HasSuffix(edge, "(root)") && edge != tree[0].edge {
			return fmt.Errorf("an orphan in trace %s: %s", j.TraceID, edge)
		}
	}
	return nil
}

func TestAVoteInABrowserIsOneTraceFromThePressToTheScreen(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	drained(ctx, t)
	start := time.Now()
	b := browser.Open(t, "")
	results := page(ctx, t, b, platform.results, `document.getElementById('connection').dataset.state === 'live'`)
	before := look[string](t, results, `document.getElementById('total').textContent`)
	vote := page(ctx, t, b, platform.votes, `document.querySelector('#ballot button[value=dogs]') !== null`)
	testenv.Must(t, browser.Do(vote, chromedp.Click(chromedp.CSS("#ballot button[value=dogs]"), chromedp.NodeVisible)))
	shows(ctx, t, vote, `document.getElementById('status').dataset.state === 'accepted'`)
	shows(ctx, t, results, fmt.Sprintf(`document.getElementById('total').textContent !== %q`, before))

	// The links lead to the vote's own trace and receipt, in this stack.
	const links = `Object.fromEntries(
		[...document.querySelectorAll('#journey-links a')].map((a) => [a.textContent, a.href]))`
	shown := look[map[string]string](t, vote, links)
	jaeger, err := url.Parse(platform.jaeger)
	testenv.Must(t, err)
	address, id, ok := strings.Cut(shown["Trace"], "/trace/")
	if !ok || address != "http://localhost:"+jaeger.Port() {
		t.Fatalf("the page links to %v, Jaeger is at %s", shown, platform.jaeger)
	}
	var receipt struct {
		TraceID string `json:"trace_id"`
	}
	if err := fetch(ctx, shown["Receipt"], &receipt); err != nil || receipt.TraceID != id {
		t.Errorf("the receipt names the trace %q, the link leads to %q: %v", receipt.TraceID, id, err)
	}
	if err := local.Probe(ctx, shown["Trace"]); err != nil {
		t.Errorf("behind the link: %v", err)
	}

	eventually(ctx, t, func() error {
		found, err := traceAt(ctx, address, id)
		if err != nil {
			return err
		}
		return found.isTree()
	})
	time.Sleep(2 * time.Second) // what belongs to no trace or to another would have been sent by now
	traces, err := platform.tracesSince(ctx, start, "cast vote", "POST /vote", "publish votes", "process votes",
		"process batch", "store votes", "push results", "push batch", "render results")
	if err != nil || !slices.Equal(traces, []string{id}) {
		t.Errorf("the vote is in the traces %v, want %s alone: %v", traces, id, err)
	}
	found, err := traceAt(ctx, platform.jaeger, id)
	if err == nil {
		err = found.isTree()
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(t.ArtifactDir(), "trace.svg"), []byte(found.picture()), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

// page opens a page in a tab of its own and waits until an expression is true on it.
func page(ctx context.Context, t *testing.T, in context.Context, address, ready string) context.Context {
	t.Helper()
	tab := browser.NewTab(t, in)
	testenv.Must(t, browser.Do(tab, chromedp.Navigate(address)))
	shows(ctx, t, tab, ready)
	return tab
}

func shows(ctx context.Context, t *testing.T, tab context.Context, what string) {
	t.Helper()
	eventually(ctx, t, func() error {
		if ok, err := browser.Look[bool](tab, what); err != nil || !ok {
			return fmt.Errorf("not on the page: %s: %w", what, err)
		}
		return nil
	})
}

func look[T any](t *testing.T, tab context.Context, expression string) T {
	t.Helper()
	value, err := browser.Look[T](tab, expression)
	testenv.Must(t, err)
	return value
}

// drained waits until nothing is in the queue.
func drained(ctx context.Context, t *testing.T) {
	t.Helper()
	testenv.Must(t, ledger.Drain(ctx, store))
}

func allHealthy(ctx context.Context, t *testing.T) {
	t.Helper()
	eventually(ctx, t, func() error {
		for name, c := range inspect(ctx, t) {
			if name != "migrate-1" && c.State.Health.Status != "healthy" {
				return fmt.Errorf("%s is %s", name, c.State.Health.Status)
			}
		}
		return nil
	})
}
