package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"petvote/observability/telemetry"

	pages "petvote/services/result/web"
	"petvote/shared/ballot"
	"petvote/shared/lifecycle"
	"petvote/shared/web"
)

const testVoteID = "0190f3c0-0000-7000-8000-00000000000a"

func newTestPage(t *testing.T, voteURL, jaegerURL string, v view) *resultPages {
	t.Helper()
	p, err := newResultPages(voteURL, jaegerURL, func() view { return v })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func receiptRequest() *http.Request {
	return httptest.NewRequest(http.MethodGet, "http://pets.example:8085/votes/"+testVoteID, nil)
}

func getPage(t *testing.T, p *resultPages, target string) *httptest.ResponseRecorder {
	t.Helper()
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

func TestFirstAnswerHoldsTheNumbers(t *testing.T) {
	v := view{Counts: ballot.Counts{Dogs: 1234567, Cats: 3, Lizards: 0}, Known: true, AsOf: time.Now()}
	w := getPage(t, newTestPage(t, "", "", v), "http://pets.example:8085/")
	if w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	wantInPage(t, w.Body.String(),
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
	)
}

func TestOldNumbersAreMarkedWithTheirAge(t *testing.T) {
	v := view{Counts: ballot.Counts{Dogs: 1}, Known: true, AsOf: time.Now().Add(-95 * time.Second), Stale: true}
	body := getPage(t, newTestPage(t, "", "", v), "/").Body.String()
	wantInPage(t, body, `id="banner" class="note note-wait">The votes can't be read at the moment. The numbers are from 95 seconds ago;`,
		`data-count="dogs" data-value="1">`)
	if !regexp.MustCompile(`data-age-ms="95\d{3}">95 seconds ago<`).MatchString(body) {
		t.Error("the page lacks the age in milliseconds and in words")
	}
}

func TestUnknownNumbersAreNotZero(t *testing.T) {
	body := getPage(t, newTestPage(t, "", "", view{}), "/").Body.String()
	wantInPage(t, body, `data-count="dogs" data-value="">–<`, `id="total" data-value="">–<`, `id="banner" class="note note-wait">The results have not been read yet.`)
	if strings.Contains(body, "data-age-ms") {
		t.Error("numbers that were never read have an age")
	}
}

func TestNewPageRefusesAddressesThatAreNone(t *testing.T) {
	for _, address := range []string{"vote", "javascript:alert(1)"} {
		if _, err := newResultPages(address, "", nil); err == nil {
			t.Errorf("vote address %q: no error", address)
		}
		if _, err := newResultPages("", address, nil); err == nil {
			t.Errorf("jaeger address %q: no error", address)
		}
	}
}

// castAt is when the votes of the receipts below were cast; each station is some milliseconds later.
var castAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func after(ms int) time.Time { return castAt.Add(time.Duration(ms) * time.Millisecond) }

func TestTheReceiptShowsHowFarTheVoteHasCome(t *testing.T) {
	p := newTestPage(t, "https://vote.example", "https://jaeger.example", view{})
	known := receipt{ID: uuid.MustParse(testVoteID), Pet: ballot.Cats, CastAt: castAt, QueuedAt: after(1), TraceID: "0af7651916cd43dd8448eb211c80319c"}
	with := func(s state, change func(*receipt)) receipt {
		r := known
		r.State = s
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		receipt  receipt
		status   int
		stations string // state and time of each
		says     []string
	}{
		"queued": {with(stateQueued, func(*receipt) {}), http.StatusOK, "done, done 1 ms, now, open", []string{"waits in the queue", "waiting to be stored"}},
		"counted": {with(stateCounted, func(r *receipt) { r.Counted, r.StoredAt = true, after(12) }), http.StatusOK,
			"done, done 1 ms, done 12 ms, now", []string{"counted, once", "1 March 2026, 12:00:00.012 UTC", "waiting for the next push"}},
		"shown": {with(stateShown, func(r *receipt) { r.Counted, r.StoredAt, r.ShownAt = true, after(12), after(15000) }), http.StatusOK,
			"done, done 1 ms, done 12 ms, done 15 s", []string{"counted, once"}},
		"shown at a time not known": {with(stateShown, func(r *receipt) { r.Counted, r.StoredAt = true, after(12) }), http.StatusOK,
			"done, done 1 ms, done 12 ms, done", nil},
		"given up": {with(stateDeadLettered, func(r *receipt) { r.Reason = "rejected" }), http.StatusOK, "done, done 1 ms, failed, open",
			[]string{"could not be stored", "rejected"}},
		"unknown": {receipt{ID: known.ID, State: stateUnknown}, http.StatusNotFound, "", []string{"No vote with this number was found"}},
	} {
		w := httptest.NewRecorder()
		p.renderReceipt(w, receiptRequest(), c.status, c.receipt)
		if w.Code != c.status {
			t.Errorf("%s: status %d", name, w.Code)
		}
		body := w.Body.String()
		var stations []string
		for _, m := range regexp.MustCompile(`<li data-step="\w+" data-state="(\w+)"[^>]*>.*?<span class="ms">(.*?)</span>`).FindAllStringSubmatch(body, -1) {
			stations = append(stations, strings.TrimSpace(m[1]+" "+m[2]))
		}
		if got := strings.Join(stations, ", "); got != c.stations {
			t.Errorf("%s: the journey is %q, want %q", name, got, c.stations)
		}
		wantInPage(t, body, append(c.says, `data-state="`+string(c.receipt.State)+`"`, testVoteID, `href="https://vote.example/"`)...)
		if linked := strings.Contains(body, `href="https://jaeger.example/trace/0af7651916cd43dd8448eb211c80319c"`); linked != (c.receipt.TraceID != "") {
			t.Errorf("%s: a link to the trace: %v", name, linked)
		}
		if strings.Contains(body, "0001") {
			t.Errorf("%s: the receipt shows a time that isn't known", name)
		}
	}
}

func TestPagesEscapeAllThatIsDynamic(t *testing.T) {
	const hostile, harmless = `"'><wince onwince="&`, `&quot;&#39;&gt;&lt;wince onwince=&quot;&amp;`
	files := newTestPage(t, "", "", view{}).assets
	masthead := web.Masthead{Vote: web.Link{Href: hostile}, Results: web.Link{Href: hostile}}
	moment := pages.Moment{Machine: hostile, Clock: hostile}
	row := pages.ResultRow{Pet: hostile, Grouped: hostile, Part: hostile, Share: hostile}
	receipt := pages.ReceiptPage{Theme: hostile, Masthead: masthead, ID: hostile, State: hostile, Headline: hostile, Pet: hostile,
		Journey: []web.Step{{Name: hostile, State: hostile, Title: hostile, Time: hostile, What: hostile}},
		Cast:    moment, Stored: moment, Reason: hostile, TraceID: hostile}
	linked := receipt
	linked.TraceLink = hostile
	for name, page := range map[string]struct {
		body   string
		places int
	}{
		"results": {pages.Result(files, pages.ResultPage{Theme: hostile, TraceShare: hostile, Masthead: masthead, Known: true, Stale: true, Title: hostile,
			Leader: hostile, Rows: []pages.ResultRow{row}, GroupedTotal: hostile, Age: hostile}), 22},
		"receipt":              {pages.Receipt(files, receipt), 21},
		"receipt with a trace": {pages.Receipt(files, linked), 22},
	} {
		if n := strings.Count(page.body, harmless); n != page.places || strings.Contains(page.body, "<wince") || strings.Contains(page.body, hostile) {
			t.Errorf("%s: escaped in %d places, want %d:\n%s", name, n, page.places, page.body)
		}
	}
}

// newTelemetry exports nothing.
func newTelemetry(t *testing.T) *telemetry.Telemetry {
	t.Helper()
	tel, err := telemetry.Start(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return tel
}

func TestPagesAndReceiptsAreCompressedAndStreamsAreNot(t *testing.T) {
	p := newTestPage(t, "", "", view{})
	j := &journey{stored: storedVote}
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(*httptest.ResponseRecorder); !ok {
			t.Errorf("%s is behind a %T", r.URL.Path, w)
		}
	})
	public := routes(newTelemetry(t), p, j.api(t), stream, stream, lifecycle.NewHealth(nil))
	for target, compressed := range map[string]bool{
		"/": true, p.assets.URL("result.js"): true, "/votes/" + testVoteID: true, "/events": false, "/socket.io/": false, "/healthz": false,
	} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		r.Header.Set("Accept", browser)
		w := httptest.NewRecorder()
		public.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Encoding") == "gzip"; w.Code != http.StatusOK || got != compressed {
			t.Errorf("%s: %d, header %v", target, w.Code, w.Header())
		}
		if vary := strings.Join(w.Header().Values("Vary"), ", "); strings.HasPrefix(target, "/votes/") && vary != "Accept-Encoding, Accept" {
			t.Errorf("%s varies with %s", target, vary)
		}
	}
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	p := newTestPage(t, "", "", view{})
	public := routes(newTelemetry(t), p, &api{receipts: &receipts{pages: p}}, http.NotFoundHandler(), http.NotFoundHandler(), lifecycle.NewHealth(nil))
	for _, target := range []string{"/", p.assets.URL("result.js"), "/favicon.ico", "/events", "/socket.io/", "/votes/none", "/healthz", "/elsewhere"} {
		w := httptest.NewRecorder()
		public.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
		if policy := w.Header().Values("Content-Security-Policy"); len(policy) != 1 || !strings.Contains(policy[0], "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", target, policy)
		}
	}
}

func TestAgesInWords(t *testing.T) {
	for age, want := range map[time.Duration]string{
		0: "just now", 2 * time.Second: "2 seconds ago", 119 * time.Second: "119 seconds ago", 2 * time.Minute: "2 minutes ago", 3 * time.Hour: "3 hours ago",
	} {
		if got := inWords(age); got != want {
			t.Errorf("inWords(%v) = %q, want %q", age, got, want)
		}
	}
}

func TestPagesHaveNothingInlineAndNothingFromElsewhere(t *testing.T) {
	p := newTestPage(t, "", "", view{Known: true, AsOf: time.Now()})
	slip := httptest.NewRecorder()
	p.renderReceipt(slip, receiptRequest(), http.StatusOK, receipt{ID: uuid.MustParse(testVoteID), State: stateShown, Counted: true, CastAt: castAt})
	for name, w := range map[string]*httptest.ResponseRecorder{"results": getPage(t, p, "/"), "receipt": slip} {
		for _, forbidden := range []string{`\sstyle=`, `<style`, `<script(?:\s[^>]*)?>[^<]`, `\son\w+=`, `(?:src|<link[^>]*href)="(?:https?:)?//`} {
			if found := regexp.MustCompile(forbidden).FindString(w.Body.String()); found != "" {
				t.Errorf("%s: the page has %q", name, found)
			}
		}
	}
}

// Every file that a page or one of its modules names has to be there.
func TestPageLoadsOnlyWhatIsServed(t *testing.T) {
	p := newTestPage(t, "", "", view{})
	slip := httptest.NewRecorder()
	p.renderReceipt(slip, receiptRequest(), http.StatusNotFound, receipt{ID: uuid.MustParse(testVoteID), State: stateQueued, CastAt: castAt})
	both := getPage(t, p, "/").Body.String() + slip.Body.String()
	wanted := regexp.MustCompile(`(?:src|href)="(/static/[^"#]+)`).FindAllStringSubmatch(both, -1)
	seen := map[string]bool{}
	for len(wanted) > 0 {
		path := wanted[0][1]
		wanted = wanted[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		w := getPage(t, p, path)
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d", path, w.Code)
		}
		for _, m := range regexp.MustCompile(`(?:from '\./|url\(")([^'"]+)`).FindAllStringSubmatch(w.Body.String(), -1) {
			wanted = append(wanted, []string{"", path[:strings.LastIndex(path, "/")+1] + m[1]})
		}
	}
	if len(seen) < 10 {
		t.Errorf("the page and its modules name %d files", len(seen))
	}
}
