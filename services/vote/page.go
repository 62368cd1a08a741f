package main

import (
	"cmp"
	"embed"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	pages "petvote/services/vote/web"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
	"petvote/shared/web"
)

//go:embed web/static
var pageFiles embed.FS

// resultPort is the port of the results on the same host, used when no address is configured.
const resultPort = 8085

// page is the voting page: a form that works without JavaScript, and modules that send, keep and repeat votes.
type page struct {
	settings   settings
	traceShare string // from telemetry.TraceShare
	assets     *web.AssetSet
}

func newPage(cfg settings, traceShare string) *page {
	return &page{settings: cfg, traceShare: traceShare, assets: web.Assets(pageFiles, cfg.BasePath)}
}

func (p *page) serveVote(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, http.StatusOK, noticeFor(r.URL.Query()))
}

// refuseOrigin answers a vote from a page of another origin: a form with the page.
func (p *page) refuseOrigin(w http.ResponseWriter, r *http.Request) {
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType == formType {
		p.render(w, r, http.StatusForbidden, notice{state: "refused", text: "Your vote was not accepted: " +
			"this server does not accept votes from the address of the page that sent it. Its operator can allow that address."})
		return
	}
	web.Problem(w, http.StatusForbidden, "votes from other sites are not accepted")
}

func (p *page) render(w http.ResponseWriter, r *http.Request, status int, n notice) {
	d := p.data(r, n)
	web.AllowConnect(w, d.Masthead.Results.Href) // the page asks the result service for a vote's journey
	web.Render(w, status, pages.Vote(p.assets, d))
}

func (p *page) data(r *http.Request, n notice) pages.VotePage {
	query := r.URL.Query()
	results := web.Sibling(p.settings.ResultURL, r.Host, resultPort)
	d := pages.VotePage{
		Theme:    web.Theme(r),
		Masthead: web.Masthead{Vote: web.Link{Href: p.assets.Base + "/"}, Results: results, Here: web.HereVote},
		State:    cmp.Or(n.state, "idle"), Notice: n.text,
		JaegerURL: string(p.settings.JaegerURL), TraceShare: p.traceShare,
	}
	if results.SiblingPort == 0 {
		d.ResultURL = string(p.settings.ResultURL)
	}
	for _, pet := range ballot.Choices() {
		d.Pets = append(d.Pets, string(pet))
	}
	switch {
	case n.vote == "":
	case n.state == "accepted":
		d.ReceiptLink = strings.TrimSuffix(results.Href, "/") + "/votes/" + n.vote
		if entry, err := votestream.ParseEntry(query.Get("entry")); err == nil {
			d.ReceiptLink += "?entry=" + entry.String()
		}
	case n.pet != "":
		d.RetryKey, d.RetryPet = n.vote, n.pet
	}
	return d
}

// The kinds of notice that noticePath knows.
const (
	noticeVoted       = "voted"       // accepted
	noticeUnavailable = "unavailable" // not accepted; may be repeated under the same key
	noticeInvalid     = "invalid"     // no vote; repeating it is useless
)

// noticePath returns the path to redirect a form post to. The page there shows the vote's outcome.
func noticePath(kind string, pet ballot.Choice, vote uuid.UUID) string {
	switch kind {
	case noticeVoted:
		return "/?" + url.Values{"voted": {string(pet)}, "vote": {vote.String()}}.Encode()
	case noticeUnavailable:
		return "/?" + url.Values{"problem": {kind}, "pet": {string(pet)}, "vote": {vote.String()}}.Encode()
	case noticeInvalid:
		return "/?problem=" + kind
	}
	return "/"
}

// notice is the initial content of the page's status region; the zero notice is empty. The query only selects one of
// the texts below: nothing of it is shown but a choice and an id in their exact forms.
type notice struct {
	state string // the region's data-state
	text  string
	pet   string // the vote's choice; empty if unknown
	vote  string // its id; empty if unknown
}

func noticeFor(query url.Values) notice {
	vote := ""
	if id, err := parseKey(query.Get("vote")); err == nil && id != uuid.Nil {
		vote = id.String()
	}
	if pet, err := ballot.ParseChoice(query.Get("voted")); err == nil {
		return notice{"accepted", "Your vote for " + string(pet) + " was accepted.", string(pet), vote}
	}
	switch query.Get("problem") {
	case noticeUnavailable:
		pet, _ := ballot.ParseChoice(query.Get("pet"))
		return notice{"refused", "Your vote could not be taken just now. " +
			"Please send it again in a moment: it is counted once.", string(pet), vote}
	case noticeInvalid:
		return notice{state: "refused", text: "That was not a vote for dogs, cats or lizards, so nothing was counted."}
	}
	return notice{}
}
