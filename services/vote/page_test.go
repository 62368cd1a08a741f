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

func getPage(t *testing.T, resultURL, jaegerURL config.Link, target string) *httptest.ResponseRecorder {
	t.Helper()
	p, err := newPage(resultURL, jaegerURL)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	p.register(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

// wantInPage gets a page and checks what its HTML contains.
func wantInPage(t *testing.T, resultURL, jaegerURL config.Link, target string, wanted ...string) (body string) {
	t.Helper()
	w := getPage(t, resultURL, jaegerURL, target)
	if w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
	for _, want := range wanted {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	return w.Body.String()
}

func TestPageOffersAButtonForEachChoiceWithoutJavaScript(t *testing.T) {
	wantInPage(t, "", "", "http://pets.example:8084/",
		`<form id="ballot" method="post" action="/vote"`,
		`type="submit" name="pet" value="dogs" data-pet="dogs"`,
		`type="submit" name="pet" value="cats" data-pet="cats"`,
		`type="submit" name="pet" value="lizards" data-pet="lizards"`,
		`href="//pets.example:8085/" data-sibling-port="8085"`,
		`data-state="idle"></div>`, `<section id="journey" class="card" aria-labelledby="journey-title" hidden>`,
		`<strong id="waiting-count">0</strong>`)
}

func TestPageLinksToTheConfiguredAddresses(t *testing.T) {
	body := wantInPage(t, "https://results.example", "https://jaeger.example/ui", "/",
		`data-result-url="https://results.example"`, `data-jaeger-url="https://jaeger.example/ui"`,
		`href="https://results.example/">Results`)
	if strings.Contains(body, "data-sibling-port") {
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
		{noticeVoted, "birds", "/", "idle", ""},
		{"other", "dogs", "/", "idle", ""},
	} {
		path := noticePath(c.kind, c.pet, uuid.MustParse(testVoteID))
		if path != c.path {
			t.Errorf("noticePath(%q, %q) = %q, want %q", c.kind, c.pet, path, c.path)
		}
		status := region.FindStringSubmatch(getPage(t, "", "", path).Body.String())
		if status == nil || status[1] != c.state || !strings.Contains(status[2], c.text) || c.text == "" && status[2] != "" {
			t.Errorf("%s: the status is %q, want %s with %q", path, status, c.state, c.text)
		}
	}
}

func TestAnAcceptedFormPostLeadsToItsReceipt(t *testing.T) {
	path := noticePath(noticeVoted, ballot.Dogs, uuid.MustParse(testVoteID))
	for _, c := range []struct {
		resultURL   config.Link
		entry, want string
	}{
		{"", "", "//pets.example:8085/votes/" + testVoteID},
		{"https://results.example", "", "https://results.example/votes/" + testVoteID},
		{"", "&entry=0/1-0", "//pets.example:8085/votes/" + testVoteID + "?entry=0/1-0"},
		{"", "&entry=0/1-0%22wince", "//pets.example:8085/votes/" + testVoteID},
	} {
		wantInPage(t, c.resultURL, "", "http://pets.example:8084"+path+c.entry, `href="`+c.want+`">Receipt</a>`)
	}
}

func TestAFormPostThatWasNotTakenCanBeRepeatedUnderItsKey(t *testing.T) {
	wantInPage(t, "", "", noticePath(noticeUnavailable, ballot.Cats, uuid.MustParse(testVoteID)),
		`<input type="hidden" name="key" value="`+testVoteID+`">`,
		`name="pet" value="cats">Send this vote for cats again</button>`)
	if body := getPage(t, "", "", "/").Body.String(); strings.Contains(body, `name="key"`) {
		t.Error("votes of a new page would share a key")
	}
}

func TestThePageIsInTheColoursThatThePersonChose(t *testing.T) {
	p, err := newPage("", "")
	if err != nil {
		t.Fatal(err)
	}
	for cookie, want := range map[string]string{
		"":                    `<html lang="en">`,
		"petvote-theme=dark":  `<html lang="en" data-theme="dark">`,
		"petvote-theme=light": `<html lang="en" data-theme="light">`,
		"petvote-theme=wince": `<html lang="en">`,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		p.serveVote(w, r)
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("cookie %q: the page lacks %s", cookie, want)
		}
	}
}

func TestThePageMayAskTheResultServiceAndNobodyElse(t *testing.T) {
	for resultURL, want := range map[config.Link]string{
		"":                          "connect-src 'self' pets.example:8085;",
		"https://results.example/r": "connect-src 'self' https://results.example;",
	} {
		w := getPage(t, resultURL, "", "http://pets.example:8084/")
		if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
}

func TestAQueryIsNeverShown(t *testing.T) {
	for _, query := range []string{
		"voted=%3Cscript%3Ewince%3C/script%3E", "problem=wince", "voted=dogs%20wince", "wince=1", "voted=dogs&vote=wince",
		"problem=unavailable&pet=wince&vote=wince",
	} {
		w := getPage(t, "", "", "/?"+query)
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "wince") {
			t.Errorf("?%s: status %d, shown: %v", query, w.Code, strings.Contains(w.Body.String(), "wince"))
		}
	}
}

func TestPageEscapesAllThatIsDynamic(t *testing.T) {
	p, err := newPage("", "")
	if err != nil {
		t.Fatal(err)
	}
	const hostile, harmless = `"'><wince onwince="&`, `&quot;&#39;&gt;&lt;wince onwince=&quot;&amp;`
	body := pages.Vote(p.assets, pages.VotePage{
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

func TestAHostileHostIsNotInThePage(t *testing.T) {
	p, err := newPage("", "")
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = `"><wince>`
	w := httptest.NewRecorder()
	p.serveVote(w, r)
	if strings.Contains(w.Body.String(), "wince") || !strings.Contains(w.Body.String(), `href="//localhost:8085/"`) {
		t.Errorf("the page believes the host:\n%s", w.Body)
	}
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	p, err := newPage("", "")
	if err != nil {
		t.Fatal(err)
	}
	public := routes(p, nil, http.NotFoundHandler(), lifecycle.NewHealth(nil))
	for _, target := range []string{"/", p.assets.URL("vote.js"), "/favicon.ico", "/healthz", "/elsewhere"} {
		w := httptest.NewRecorder()
		public.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
		policy := w.Header().Values("Content-Security-Policy")
		if len(policy) != 1 || !strings.Contains(policy[0], "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", target, policy)
		}
	}
}

func TestPagesAreCompressedAndAnswersToVotesGoPastThat(t *testing.T) {
	p, err := newPage("", "")
	if err != nil {
		t.Fatal(err)
	}
	public := routes(p, &queue{}, http.NotFoundHandler(), lifecycle.NewHealth(nil))
	for _, target := range []string{"/", p.assets.URL("vote.js"), p.assets.URL("base.css")} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		public.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %d, header %v", target, w.Code, w.Header())
		}
	}
	w := post(t.Context(), public, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
	if w.Code != http.StatusOK || w.Header().Get("Vary") != "" {
		t.Errorf("a vote: %d, header %v", w.Code, w.Header())
	}
}

func TestPageHasNothingInlineAndNothingFromElsewhere(t *testing.T) {
	w := getPage(t, "", "", "/")
	for _, forbidden := range []string{
		`\sstyle=`, `<style`, `<script(?:\s[^>]*)?>[^<]`, `\son\w+=`, `(?:src|<link[^>]*href)="(?:https?:)?//`,
	} {
		if found := regexp.MustCompile(forbidden).FindString(w.Body.String()); found != "" {
			t.Errorf("the page has %q", found)
		}
	}
}

// Every file that the page or one of its modules and stylesheets names has to be there.
func TestPageLoadsOnlyWhatIsServed(t *testing.T) {
	page := getPage(t, "", "", "/").Body.String()
	wanted := regexp.MustCompile(`(?:src|href)="(/static/[^"#]+)`).FindAllStringSubmatch(page, -1)
	if len(wanted) < 5 {
		t.Fatalf("the page names %d files", len(wanted))
	}
	seen := map[string]bool{}
	for len(wanted) > 0 {
		path := wanted[0][1]
		wanted = wanted[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		w := getPage(t, "", "", path)
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: status %d, Cache-Control %q", path, w.Code, w.Header().Get("Cache-Control"))
		}
		for _, m := range regexp.MustCompile(`(?:from '\./|url\(")([^'"]+)`).FindAllStringSubmatch(w.Body.String(), -1) {
			wanted = append(wanted, []string{"", path[:strings.LastIndex(path, "/")+1] + m[1]})
		}
	}
	for _, module := range []string{"sender.js", "outbox.js", "send.js", "links.js", "journey.js", "follow.js", "check.svg"} {
		found := false
		for path := range seen {
			found = found || strings.HasSuffix(path, "/"+module)
		}
		if !found {
			t.Errorf("%s is never loaded", module)
		}
	}
	if w := getPage(t, "", "", "/favicon.ico"); w.Code != http.StatusOK {
		t.Errorf("/favicon.ico: status %d", w.Code)
	}
}

func TestOtherPathsAreNotThePage(t *testing.T) {
	if w := getPage(t, "", "", "/elsewhere"); w.Code != http.StatusNotFound {
		t.Errorf("status %d, want 404", w.Code)
	}
}
