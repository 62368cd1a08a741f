package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"petvote/infra/testenv"
	"petvote/observability/telemetry"
	pages "petvote/services/result/web"
	"petvote/shared/ballot"
	"petvote/shared/config"
	"petvote/shared/lifecycle"
	"petvote/shared/web"
)

func newTestPages(cfg settings, v view) *resultPages {
	return newResultPages(cfg, "", func() view { return v })
}

func getPage(p *resultPages, target string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	p.register(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

func wantInPage(t *testing.T, body string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestTheFirstAnswerHoldsTheNumbers(t *testing.T) {
	aMinute := time.Now().Add(-95 * time.Second)
	for name, c := range map[string]struct {
		view view
		want []string
	}{
		"fresh": {view{Counts: ballot.Counts{Dogs: 1234567, Cats: 3}, Known: true, AsOf: time.Now()}, []string{
			`data-count="dogs" data-value="1234567">1,234,567<`,
			`data-count="cats" data-value="3">3<`,
			`data-count="lizards" data-value="0">0<`,
			`data-bar="dogs" width="100.0"`,
			`data-bar="lizards" width="0.0"`,
			`id="total" data-value="1234570">1,234,570<`,
			`id="connection" class="connection" data-state="connecting"`,
			`id="banner" class="note note-wait" hidden></p>`,
			`>just now</span>`,
			`href="//pets.example:8084/" data-sibling-port="8084">Vote`,
			`<noscript><meta http-equiv="refresh" content="5"></noscript>`,
		}},
		"stale": {view{Counts: ballot.Counts{Dogs: 1}, Known: true, AsOf: aMinute, Stale: true}, []string{
			`id="banner" class="note note-wait">The votes can't be read at the moment. The numbers are from 95 seconds ago;`,
			`data-count="dogs" data-value="1">`, `data-age-ms="95`, `>95 seconds ago<`,
		}},
		"unknown, which is not zero": {view{}, []string{
			`data-count="dogs" data-value="">–<`, `id="total" data-value="">–<`, `<span id="age">not yet</span>`,
			`id="banner" class="note note-wait">There are no results yet.`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := getPage(newTestPages(settings{}, c.view), "http://pets.example:8085/")
			if w.Code != http.StatusOK {
				t.Errorf("status %d", w.Code)
			}
			wantInPage(t, w.Body.String(), c.want...)
		})
	}
}

func TestUnderABasePathEveryAddressOfThePagesBeginsWithIt(t *testing.T) {
	p := newTestPages(settings{Public: config.Public{BasePath: "/pets"}}, view{Known: true})
	shown := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/votes/x", nil)
	p.renderReceipt(shown, r, http.StatusOK, receipt{State: stateShown})
	address := regexp.MustCompile(` (?:href|src)="(/[^/][^"]*|/)"`)
	for name, body := range map[string]string{
		"results": getPage(p, "/").Body.String(), "kiosk": getPage(p, "/?kiosk").Body.String(),
		"receipt": shown.Body.String(),
	} {
		found := address.FindAllStringSubmatch(body, -1)
		for _, f := range found {
			if !strings.HasPrefix(f[1], "/pets/") {
				t.Errorf("%s has the address %s", name, f[1])
			}
		}
		if len(found) < 5 {
			t.Errorf("%s has only the addresses %v", name, found)
		}
	}
}

func TestTheLeaderInWords(t *testing.T) {
	for counts, want := range map[ballot.Counts][2]string{
		{}:                             {"No votes yet.", "No votes yet"},
		{Dogs: 2, Cats: 2, Lizards: 2}: {"Dogs, cats and lizards are level.", "All level"},
		{Cats: 2, Lizards: 2}: {
			"Cats and lizards share the lead, with 50.0\u00a0% each.", "Cats and lizards share the lead"},
		{Lizards: 1}:                   {"Lizards lead with 100.0\u00a0%, 1 vote ahead of dogs and cats.", "Lizards lead"},
		{Cats: 99999, Lizards: 1}:      {"Cats lead with >99.9\u00a0%, 99,998 votes ahead of lizards.", "Cats lead"},
		{Dogs: 9, Cats: 4, Lizards: 3}: {"Dogs lead with 56.3\u00a0%, 5 votes ahead of cats.", "Dogs lead"}, // of 56.25
		{Dogs: 5000, Cats: 1000, Lizards: 999}: {
			"Dogs lead with 71.4\u00a0%, 4,000 votes ahead of cats.", "Dogs lead"},
	} {
		if sentence, title := leader(counts); sentence != want[0] || title != want[1] {
			t.Errorf("%+v: %q, %q", counts, sentence, title)
		}
	}
}

func TestPagesEscapeEverythingDynamic(t *testing.T) {
	const hostile, harmless = `"'><wince onwince="&`, `&quot;&#39;&gt;&lt;wince onwince=&quot;&amp;`
	files := newTestPages(settings{}, view{}).assets
	masthead := web.Masthead{Vote: web.Link{Href: hostile}, Results: web.Link{Href: hostile}}
	moment := pages.Moment{Machine: hostile, Clock: hostile}
	receipt := pages.ReceiptPage{
		Theme: hostile, Masthead: masthead, ID: hostile, State: hostile, Headline: hostile, Pet: hostile,
		Journey: []web.Step{{Name: hostile, State: hostile, Title: hostile, Time: hostile, Meaning: hostile, What: hostile}},
		Cast:    moment, Stored: moment, Reason: hostile, TraceID: hostile,
	}
	withTrace := receipt
	withTrace.TraceLink = hostile
	for name, page := range map[string]struct {
		body   string
		places int
	}{
		"results": {pages.Result(files, pages.ResultPage{
			Theme: hostile, TraceShare: hostile, Masthead: masthead, Known: true, Stale: true, Title: hostile, Leader: hostile,
			Rows:         []pages.ResultRow{{Pet: hostile, Grouped: hostile, Percent: hostile, Share: hostile}},
			GroupedTotal: hostile, Age: hostile,
		}), 22},
		"receipt":              {pages.Receipt(files, receipt), 22},
		"receipt with a trace": {pages.Receipt(files, withTrace), 23},
	} {
		n := strings.Count(page.body, harmless)
		if n != page.places || strings.Contains(page.body, "<wince") || strings.Contains(page.body, hostile) {
			t.Errorf("%s: escaped in %d places, want %d:\n%s", name, n, page.places, page.body)
		}
	}
}

// publicHandler exports no telemetry, and answers streams with stream.
func publicHandler(t *testing.T, stream http.Handler) (public http.Handler, files *web.AssetSet) {
	t.Helper()
	tel, err := telemetry.Start(t.Context(), name, false)
	testenv.Must(t, err)
	t.Cleanup(func() {
		if err := tel.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	p := newTestPages(settings{}, view{})
	front := web.NewFront(config.Public{})
	return routes(tel, p, (&journey{stored: storedVote}).api(t), front, stream, stream, lifecycle.NewHealth(nil)), p.assets
}

func TestEveryAnswerHasTheSecurityHeadersAndPagesAreCompressed(t *testing.T) {
	public, files := publicHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(*httptest.ResponseRecorder); !ok {
			t.Errorf("%s is behind a %T", r.URL.Path, w)
		}
	}))
	for target, want := range map[string]struct {
		status     int
		compressed bool
	}{
		"/": {200, true}, files.URL("result.js"): {200, true}, "/favicon.ico": {200, true},
		"/votes/" + testVoteID: {200, true}, "/votes/none": {400, true},
		"/events": {200, false}, "/socket.io/": {200, false}, "/healthz": {200, false}, "/elsewhere": {404, false},
	} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		r.Header.Set("Accept", browser)
		w := httptest.NewRecorder()
		public.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Encoding") == "gzip"; w.Code != want.status || got != want.compressed {
			t.Errorf("%s: %d, header %v", target, w.Code, w.Header())
		}
		vary := strings.Join(w.Header().Values("Vary"), ", ")
		if strings.HasPrefix(target, "/votes/0") && vary != "Accept-Encoding, Accept" {
			t.Errorf("%s varies with %s", target, vary)
		}
		policy := w.Header().Values("Content-Security-Policy")
		if len(policy) != 1 || !strings.Contains(policy[0], "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", target, policy)
		}
	}
}

func TestAgesInWords(t *testing.T) {
	for age, want := range map[time.Duration]string{
		0: "just now", 2 * time.Second: "2 seconds ago", 119 * time.Second: "119 seconds ago",
		2 * time.Minute: "2 minutes ago", 3 * time.Hour: "3 hours ago",
	} {
		if got := inWords(age); got != want {
			t.Errorf("inWords(%v) = %q, want %q", age, got, want)
		}
	}
}
