package main

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"

	pages "petvote/services/vote/web"
	"petvote/shared/ballot"
	"petvote/shared/web"
)

//go:embed web/static
var pageFiles embed.FS

// resultPort is where the results are looked for when no address is configured.
const resultPort = 8085

// page is the voting page: a form that works as it is, and modules that make it send, keep and repeat votes.
type page struct {
	resultURL string // without a trailing slash; empty: not configured
	jaegerURL string // the same
	assets    *web.AssetSet
}

// newPage builds the page. Both addresses may be empty; otherwise they have to be absolute http or https URLs.
func newPage(resultURL, jaegerURL string) (*page, error) {
	p := &page{}
	var err error
	if p.resultURL, err = web.BaseURL(resultURL); err != nil {
		return nil, fmt.Errorf("result %w", err)
	}
	if p.jaegerURL, err = web.BaseURL(jaegerURL); err != nil {
		return nil, fmt.Errorf("jaeger %w", err)
	}
	static, err := fs.Sub(pageFiles, "web/static")
	if err != nil {
		return nil, fmt.Errorf("vote page: %w", err)
	}
	if p.assets, err = web.Assets(static); err != nil {
		return nil, fmt.Errorf("vote page: %w", err)
	}
	return p, nil
}

// register mounts the page, its static files and its icon. The security headers are the business of who serves the mux.
func (p *page) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.serveVote)
	mux.Handle("GET "+web.StaticPath, p.assets)
	mux.HandleFunc("GET /favicon.ico", p.assets.Icon)
}

func (p *page) serveVote(w http.ResponseWriter, r *http.Request) {
	web.Render(w, http.StatusOK, pages.Vote(p.assets, p.data(r.Host, noticeFor(r.URL.Query()))))
}

func (p *page) data(host string, n notice) pages.VotePage {
	d := pages.VotePage{
		State: cmp.Or(n.state, "idle"), Notice: n.text,
		ResultURL: p.resultURL, JaegerURL: p.jaegerURL, ResultLink: p.resultURL + "/",
	}
	for _, pet := range ballot.Choices() {
		d.Pets = append(d.Pets, string(pet))
	}
	if p.resultURL == "" {
		d.ResultLink, d.ResultPort = web.SiblingURL(host, resultPort), resultPort
	}
	return d
}

// The kinds of notice that noticePath knows.
const (
	noticeVoted       = "voted"       // the vote was accepted
	noticeUnavailable = "unavailable" // it was not taken, and repeating it later makes sense
	noticeInvalid     = "invalid"     // it was not understood, and repeating it doesn't
)

// noticePath gives the path to redirect a form post to, so that the page says what became of it. The pet matters only to
// noticeVoted. What it doesn't know leads to the page without a notice.
func noticePath(kind, pet string) string {
	query := url.Values{}
	switch kind {
	case noticeVoted:
		query.Set("voted", pet)
	case noticeUnavailable, noticeInvalid:
		query.Set("problem", kind)
	}
	if noticeFor(query) == (notice{}) {
		return "/"
	}
	return "/?" + query.Encode()
}

// notice is what the status region shows when the page arrives. Its texts are those below: a query chooses among them
// and is never shown itself. The zero notice shows nothing.
type notice struct {
	state string // the region's data-state
	text  string
}

func noticeFor(query url.Values) notice {
	if pet, err := ballot.ParseChoice(query.Get("voted")); err == nil {
		return notice{"accepted", "Your vote for " + string(pet) + " was accepted."}
	}
	switch query.Get("problem") {
	case noticeUnavailable:
		return notice{"refused", "Your vote could not be taken just now. Please vote again in a moment."}
	case noticeInvalid:
		return notice{"refused", "That was not a vote for dogs, cats or lizards, so nothing was counted."}
	}
	return notice{}
}
