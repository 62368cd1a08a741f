//go:build containers

package containertest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"petvote/infra/browser"
	"petvote/infra/containers"
	"petvote/infra/ledger"
	local "petvote/infra/platform"
	"petvote/infra/testenv"
)

// step is a span of a vote's journey, as it stands in a trace.
type step struct{ edge, name, kind string }

// steps are those of a vote that a program casts. From a page "cast vote" comes before them and "render results" after.
func steps(above string) []step {
	return []step{
		{"vote: POST /vote < " + above, "POST /vote", "server"},
		{"vote: publish votes < POST /vote", "publish votes", "producer"},
		{"worker: process votes < publish votes", "process votes", "consumer"},
		{"worker: store votes < process votes", "store votes", "client"},
		{"result: push results < process votes", "push results", "consumer"},
	}
}

// isTree says that these steps are in a trace, each there once, of its kind, and well ended, that the first is its only
// root and that every other span has its parent there. Beneath the steps stand the statements of PostgreSQL's client,
// which are not looked at.
func (j trace) isTree(want []step) error {
	edges := j.edges()
	for _, s := range want {
		if edges[s.edge] != 1 || len(j.named(s.name)) != 1 {
			return fmt.Errorf("%q is not there, or not alone, in trace %s: %v", s.edge, j.TraceID, edges)
		}
		if one := j.named(s.name)[0]; one.kind() != s.kind || !one.wellEnded() {
			return fmt.Errorf("%s is to be of kind %s and well ended: %+v", s.name, s.kind, one.Tags)
		}
	}
	for edge := range edges {
		if strings.HasSuffix(edge, "(missing)") || strings.HasSuffix(edge, "(root)") && edge != want[0].edge {
			return fmt.Errorf("an orphan in trace %s: %s", j.TraceID, edge)
		}
	}
	return nil
}

func TestOneVoteIsOneTraceInJaeger(t *testing.T) {
	ctx := within(t, time.Minute)
	id := mustCast(ctx, t, http.StatusOK)
	eventually(ctx, t, func() error {
		found, err := traceAt(ctx, platform.jaeger, id)
		if err != nil {
			return err
		}
		return found.isTree(steps("(root)"))
	})
}

func TestAVoteInABrowserIsOneTraceFromThePressToTheScreen(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	drained(ctx, t)
	start := time.Now()
	b := browser.Open(t)
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

	tree := append([]step{{"browser: cast vote < (root)", "cast vote", "client"}}, steps("cast vote")...)
	tree = append(tree, step{"browser: render results < push results", "render results", "internal"})
	eventually(ctx, t, func() error {
		found, err := traceAt(ctx, address, id)
		if err != nil {
			return err
		}
		return found.isTree(tree)
	})
	time.Sleep(2 * time.Second) // what belongs to no trace or to another would have been sent by now
	traces, err := platform.tracesSince(ctx, start, "cast vote", "POST /vote", "publish votes", "process votes",
		"process batch", "store votes", "push results", "push batch", "render results")
	if err != nil || !slices.Equal(traces, []string{id}) {
		t.Errorf("the vote is in the traces %v, want %s alone: %v", traces, id, err)
	}
	found, err := traceAt(ctx, platform.jaeger, id)
	if err == nil {
		err = found.isTree(tree)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(t.ArtifactDir(), "trace.svg"), []byte(found.picture()), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestARefusedVoteIsAnErrorInItsTrace(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	var refused []string
	restored(t, "start", project+"-redis-1")
	alone(ctx, t, "redis-1", func(c containers.Container) {
		docker(ctx, t, "kill", c.ID)
		for range 20 { // long enough that the breaker opens and tries again
			refused = append(refused, mustCast(ctx, t, http.StatusServiceUnavailable))
			time.Sleep(100 * time.Millisecond)
		}
		docker(ctx, t, "start", c.ID)
	})
	events := make(map[string]int)
	for _, id := range refused {
		eventually(ctx, t, func() error {
			found, err := traceAt(ctx, platform.jaeger, id, "POST /vote", "publish votes")
			if err != nil {
				return err
			}
			want := map[string]int{"vote: POST /vote < (root)": 1, "vote: publish votes < POST /vote": 1}
			if got := found.edges(); !maps.Equal(got, want) {
				return fmt.Errorf("the trace of a refused vote is %v", got)
			}
			for _, s := range found.Spans {
				if !s.failed() {
					return fmt.Errorf("%s of a refused vote is not an error: %+v", s.OperationName, s.Tags)
				}
			}
			for _, event := range found.named("publish votes")[0].events() {
				events[event]++
			}
			return nil
		})
	}
	if events["retry"] == 0 || events["circuit breaker changed"] == 0 {
		t.Errorf("%d traces show no retry or no change of the breaker: %v", len(refused), events)
	}
	t.Logf("%d refused, events %v", len(refused), events)
	drained(ctx, t)
}

// The vote reaches a database that does not answer; nobody knows that yet.
func TestAWriteThatWasTriedAgainSaysSoInTheTrace(t *testing.T) {
	const attempt = 5 * time.Second // of the worker, to store
	ctx := within(t, 2*time.Minute)
	resume := pause(ctx, t, "db-1")
	id := mustCast(ctx, t, http.StatusOK)
	inHand(ctx, t)
	time.Sleep(attempt + time.Second)
	resume()
	drained(ctx, t)
	eventually(ctx, t, func() error {
		found, err := traceAt(ctx, platform.jaeger, id, "process votes", "store votes")
		if err != nil {
			return err
		}
		// That was longer than CLAIM_IDLE: other consumers have claimed the vote meanwhile, and have such spans too. There
		// may be no push: the result service had lost its connection, and with it the notice.
		stores := found.named("store votes")
		if !slices.ContainsFunc(stores, func(s span) bool { return s.event("retry") }) {
			return fmt.Errorf("no write says that it was tried again: %+v", stores)
		}
		for _, step := range steps("(root)") { // a write that timed out failed, and so did its step
			if all := found.named(step.name); len(all) > 0 && !slices.ContainsFunc(all, span.wellEnded) {
				return fmt.Errorf("in the end all went well, but not for %s: %+v", step.name, all)
			}
		}
		if got := found.edges(); got["worker: store votes < process votes"] != len(stores) ||
			got["worker: process votes < publish votes"] != len(found.named("process votes")) {
			return fmt.Errorf("the trace is %v", got)
		}
		return nil
	})
	allHealthy(ctx, t)
}

func TestARedeliveredVoteSaysSoInItsTrace(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	resume := pause(ctx, t, "db-1")
	id := mustCast(ctx, t, http.StatusOK)
	holder := inHand(ctx, t)
	restored(t, "start", holder.ID)
	docker(ctx, t, "kill", holder.ID) // and with it the spans of the first delivery
	resume()
	drained(ctx, t) // by the other worker
	eventually(ctx, t, func() error {
		found, err := traceAt(ctx, platform.jaeger, id, "process votes", "store votes")
		if err != nil {
			return err
		}
		for _, s := range found.named("process votes") {
			if !s.event("redelivered") || !s.wellEnded() {
				return fmt.Errorf("a redelivered vote does not say so: %+v", s)
			}
		}
		// Not so a push: if PostgreSQL had the dead worker's statement already, its parent is a span that died with the
		// worker.
		if got := found.edges(); got["worker: process votes < publish votes"] != len(found.named("process votes")) ||
			got["worker: store votes < process votes"] != len(found.named("store votes")) {
			return fmt.Errorf("the trace is %v", got)
		}
		return nil
	})
	docker(ctx, t, "start", holder.ID)
	allHealthy(ctx, t)
}

// mustCast casts a vote as a program does, and gives the id of its trace.
func mustCast(ctx context.Context, t *testing.T, status int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, platform.votes+"/vote",
		strings.NewReader(`{"pet":"lizards"}`))
	testenv.Must(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	testenv.Must(t, err)
	defer resp.Body.Close()
	var answer struct {
		TraceID string `json:"trace_id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != status {
		t.Fatalf("status %d, want %d: %v", resp.StatusCode, status, err)
	}
	header := strings.Split(resp.Header.Get("traceresponse"), "-")
	if len(header) != 4 || status == http.StatusOK && header[1] != answer.TraceID {
		t.Fatalf("the trace is %v by the header and %q by the answer", header, answer.TraceID)
	}
	return header[1]
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

// restored runs a docker command on a container at the end of a test that failed halfway, for the sake of the others.
func restored(t *testing.T, command, container string) {
	t.Cleanup(func() {
		if t.Failed() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_, _ = platform.docker(ctx, command, container) // fails if there is nothing to restore
		}
	})
}

// pause freezes a container's processes, like a server that hangs, until resume is called.
func pause(ctx context.Context, t *testing.T, name string) (resume func()) {
	t.Helper()
	name = project + "-" + name
	restored(t, "unpause", name)
	docker(ctx, t, "pause", name)
	return sync.OnceFunc(func() { docker(ctx, t, "unpause", name) })
}

// inHand waits until a worker has taken the one vote in the queue, and says which: its consumers are named for its
// container.
func inHand(ctx context.Context, t *testing.T) (holder containers.Container) {
	t.Helper()
	all := inspect(ctx, t)
	eventually(ctx, t, func() error {
		pending, err := store.Redis(ctx, "XPENDING", "votes", "workers", "-", "+", "10")
		if err != nil {
			return err
		}
		lines := strings.Split(pending, "\n") // entry, consumer, idle, deliveries
		if len(lines) != 4 {
			return fmt.Errorf("not one entry is in hand: %q", pending)
		}
		for name, c := range all {
			if host, _, _ := strings.Cut(lines[1], "-"); strings.HasPrefix(name, "worker-") && strings.HasPrefix(c.ID, host) {
				holder = c
				return nil
			}
		}
		return fmt.Errorf("no worker is %q", lines[1])
	})
	return holder
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
