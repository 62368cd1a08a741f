package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	pages "petvote/services/vote/web"
	"petvote/shared/ballot"
	"petvote/shared/config"
	"petvote/shared/lifecycle"
	"petvote/shared/web"
)

const testVoteID = "0190f3c0-0000-7000-8000-00000000000a"

// public is the service's handler with a queue that takes everything.
func public(cfg settings) http.Handler {
	front := web.NewFront(cfg.Public)
	return front.Handler(routes(newPage(cfg, ""), &fakeQueue{}, front, http.NotFoundHandler(), lifecycle.NewHealth(nil)))
}

// getPage requests from the service, with headers as names and values.
func getPage(cfg settings, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	public(cfg).ServeHTTP(w, r)
	return w
}

// wantInPage checks what a page's HTML contains.
func wantInPage(t *testing.T, page *httptest.ResponseRecorder, wanted ...string) {
	t.Helper()
	if page.Code != http.StatusOK {
		t.Errorf("status %d", page.Code)
	}
	for _, want := range wanted {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestPageOffersAButtonForEachChoiceWithoutJavaScript(t *testing.T) {
	wantInPage(t, getPage(settings{}, "http://pets.example:8084/"),
		`<form id="ballot" method="post" action="/vote"`,
		`type="submit" name="pet" value="dogs" data-pet="dogs"`,
		`type="submit" name="pet" value="cats" data-pet="cats"`,
		`type="submit" name="pet" value="lizards" data-pet="lizards"`,
		`href="//pets.example:8085/" data-sibling-port="8085"`,
		`data-state="idle"></div>`, `<section id="journey" class="card" aria-labelledby="journey-title" hidden>`,
		`<strong id="waiting-count">0</strong>`)
}

func TestUnderABasePathEveryAddressOfThePageBeginsWithIt(t *testing.T) {
	cfg := settings{Public: config.Public{BasePath: "/pets"}}
	address := regexp.MustCompile(` (?:href|src|action)="(/[^"]*)"`)
	for _, target := range []string{"/pets/", "/"} { // as with a proxy that leaves the path, and with one that strips it
		page := getPage(cfg, "http://pets.example"+target)
		wantInPage(t, page, `action="/pets/vote"`, `href="/pets/" aria-current="page">Vote`)
		for _, found := range address.FindAllStringSubmatch(page.Body.String(), -1) {
			if !strings.HasPrefix(found[1], "/pets/") && !strings.HasPrefix(found[1], "//pets.example:8085/") {
				t.Errorf("%s: the page has the address %s", target, found[1])
			}
		}
	}
	for _, target := range []string{"/pets/vote", "/vote"} {
		w := post(t.Context(), public(cfg), form("pet=cats"), func(r *http.Request) { r.URL.Path = target })
		if location := w.Header().Get("Location"); !strings.HasPrefix(location, "/pets/?vote=") {
			t.Errorf("%s: %d leads to %s", target, w.Code, location)
		}
	}
}

func TestPageLinksToTheConfiguredAddresses(t *testing.T) {
	page := getPage(settings{ResultURL: "https://results.example", JaegerURL: "https://jaeger.example/ui"}, "/")
	wantInPage(t, page, `data-result-url="https://results.example"`, `data-jaeger-url="https://jaeger.example/ui"`,
		`href="https://results.example/">Results`)
	if strings.Contains(page.Body.String(), "data-sibling-port") {
		t.Error("the browser would replace a configured address")
	}
}

func TestANoticeTellsTheOutcomeOfAFormPost(t *testing.T) {
	region := regexp.MustCompile(`<div id="status"[^>]*data-state="(\w+)">(.*)</div>`)
	for _, c := range []struct {
		kind              string
		pet               ballot.Choice
		path, state, text string
	}{
		{noticeVoted, "dogs", "/?vote=" + testVoteID + "&voted=dogs", "accepted", "Your vote for dogs was accepted."},
		{noticeVoted, "cats", "/?vote=" + testVoteID + "&voted=cats", "accepted", "Your vote for cats was accepted."},
		{noticeUnavailable, "dogs", "/?pet=dogs&problem=unavailable&vote=" + testVoteID, "refused", "could not be taken"},
		{noticeInvalid, "", "/?problem=invalid", "refused", "nothing was counted"},
		{"unknown", "dogs", "/", "idle", ""},
	} {
		path := noticePath(c.kind, c.pet, uuid.MustParse(testVoteID))
		if path != c.path {
			t.Errorf("noticePath(%q, %q) = %q, want %q", c.kind, c.pet, path, c.path)
		}
		status := region.FindStringSubmatch(getPage(settings{}, path).Body.String())
		if status == nil || status[1] != c.state || !strings.Contains(status[2], c.text) {
			t.Errorf("%s: the status is %q, want %s with %q", path, status, c.state, c.text)
		}
	}
}

func TestAnAcceptedFormPostLeadsToItsReceipt(t *testing.T) {
	path := noticePath(noticeVoted, ballot.Dogs, uuid.MustParse(testVoteID))
	for _, c := range []struct {
		resultURL   config.Sibling
		entry, want string
	}{
		{"", "", "//pets.example:8085/votes/" + testVoteID},
		{"https://results.example", "", "https://results.example/votes/" + testVoteID},
		{":18085/r", "", "//pets.example:18085/r/votes/" + testVoteID},
		{"", "&entry=0/1-0", "//pets.example:8085/votes/" + testVoteID + "?entry=0/1-0"},
		{"", "&entry=0/1-0%22wince", "//pets.example:8085/votes/" + testVoteID},
	} {
		page := getPage(settings{ResultURL: c.resultURL}, "http://pets.example:8084"+path+c.entry)
		wantInPage(t, page, `href="`+c.want+`">Receipt</a>`)
	}
}

func TestAFormPostThatWasNotTakenCanBeRepeatedUnderItsKey(t *testing.T) {
	wantInPage(t, getPage(settings{}, noticePath(noticeUnavailable, ballot.Cats, uuid.MustParse(testVoteID))),
		`<input type="hidden" name="key" value="`+testVoteID+`">`,
		`name="pet" value="cats">Send this vote for cats again</button>`)
	if body := getPage(settings{}, "/").Body.String(); strings.Contains(body, `name="key"`) {
		t.Error("votes of a new page would share a key")
	}
}

func TestThePageIsInTheColoursThatThePersonChose(t *testing.T) {
	for cookie, want := range map[string]string{
		"":                    `<html lang="en">`,
		"petvote-theme=dark":  `<html lang="en" data-theme="dark">`,
		"petvote-theme=light": `<html lang="en" data-theme="light">`,
		"petvote-theme=wince": `<html lang="en">`,
	} {
		wantInPage(t, getPage(settings{}, "/", "Cookie", cookie), want)
	}
}

func TestThePageMayAskTheResultServiceAndNobodyElse(t *testing.T) {
	for resultURL, want := range map[config.Sibling]string{
		"":                          "connect-src 'self' pets.example:8085;",
		":18085/r":                  "connect-src 'self' pets.example:18085;",
		"https://results.example/r": "connect-src 'self' https://results.example;",
	} {
		w := getPage(settings{ResultURL: resultURL}, "http://pets.example:8084/")
		if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
}

func TestAHostileHostIsNotInThePage(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = `"><wince>`
	w := httptest.NewRecorder()
	public(settings{}).ServeHTTP(w, r)
	wantInPage(t, w, `href="//localhost:8085/"`)
	if policy := w.Header().Get("Content-Security-Policy"); strings.Contains(w.Body.String()+policy, "wince") {
		t.Errorf("the service believes the host: policy %q, page\n%s", policy, w.Body)
	}
}

func TestAQueryIsNeverShown(t *testing.T) {
	for _, query := range []string{
		"voted=%3Cscript%3Ewince%3C/script%3E", "problem=wince", "voted=dogs%20wince", "wince=1", "voted=dogs&vote=wince",
		"problem=unavailable&pet=wince&vote=wince",
	} {
		w := getPage(settings{}, "/?"+query)
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "wince") {
			t.Errorf("?%s: status %d, shown: %v", query, w.Code, strings.Contains(w.Body.String(), "wince"))
		}
	}
}

func TestPageEscapesAllThatIsDynamic(t *testing.T) {
	const hostile, harmless = `"'><wince onwince="&`, `&quot;&#39;&gt;&lt;wince onwince=&quot;&amp;`
	body := pages.Vote(newPage(settings{}, "").assets, pages.VotePage{
		Theme: hostile, Masthead: web.Masthead{Vote: web.Link{Href: hostile}, Results: web.Link{Href: hostile}},
		Pets: []string{hostile}, State: hostile, Notice: hostile, ReceiptLink: hostile, RetryKey: hostile, RetryPet: hostile,
		ResultURL: hostile, JaegerURL: hostile, TraceShare: hostile,
	})
	const places = 16 // a pet is in four of them, and one that is sent again in two
	n := strings.Count(body, harmless)
	if n != places || strings.Contains(body, "<wince") || strings.Contains(body, hostile) {
		t.Errorf("escaped in %d places, want %d:\n%s", n, places, body)
	}
}

func TestEveryAnswerHasTheSecurityHeadersAndLongOnesAreCompressed(t *testing.T) {
	files := newPage(settings{}, "").assets
	for target, want := range map[string]struct {
		status     int
		compressed bool
	}{
		"/": {200, true}, files.URL("vote.js"): {200, true}, files.URL("base.css"): {200, true},
		"/favicon.ico": {200, true}, "/healthz": {200, false}, "/elsewhere": {404, false},
	} {
		w := getPage(settings{}, target, "Accept-Encoding", "gzip")
		policy := w.Header().Values("Content-Security-Policy")
		if w.Code != want.status || len(policy) != 1 || !strings.Contains(policy[0], "default-src 'none'") {
			t.Errorf("%s: %d, Content-Security-Policy %q", target, w.Code, policy)
		}
		if compressed := w.Header().Get("Content-Encoding") == "gzip"; compressed != want.compressed {
			t.Errorf("%s: header %v", target, w.Header())
		}
	}
	w := post(t.Context(), public(settings{}), header("Accept-Encoding", "gzip"))
	if w.Code != http.StatusOK || w.Header().Get("Vary") != "" {
		t.Errorf("a vote, whose answer bypasses the compression: %d, header %v", w.Code, w.Header())
	}
}
