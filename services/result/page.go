package main

import (
	"embed"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"strconv"
	"time"

	pages "petvote/services/result/web"
	"petvote/shared/ballot"
	"petvote/shared/web"
)

//go:embed web/static
var pageFiles embed.FS

// votePort is where the voting page is looked for when no address is configured.
const votePort = 8084

// view is what is known of the tally when a page is built.
type view struct {
	Counts ballot.Counts
	Known  bool      // false until the first tally has been read
	AsOf   time.Time // when the counts were last known to be right
	Stale  bool      // whether they may have changed since without our knowing
}

// page is the results page, and (in receiptpage.go) the page of a receipt. The first answer already holds the numbers; the modules keep them
// current, and without JavaScript the page asks for itself again every few seconds.
type resultPages struct {
	voteURL   string // without a trailing slash; empty: not configured
	jaegerURL string // the same
	current   func() view
	assets    *web.AssetSet

	traceShare string // as telemetry.TraceShare gives it
}

// newPage builds the pages. Both addresses may be empty; otherwise they have to be absolute http or https URLs. current
// is called for each page and has to be quick and safe for concurrent use.
func newResultPages(voteURL, jaegerURL string, current func() view) (*resultPages, error) {
	p := &resultPages{current: current}
	var err error
	if p.voteURL, err = web.BaseURL(voteURL); err != nil {
		return nil, fmt.Errorf("vote %w", err)
	}
	if p.jaegerURL, err = web.BaseURL(jaegerURL); err != nil {
		return nil, fmt.Errorf("jaeger %w", err)
	}
	static, err := fs.Sub(pageFiles, "web/static")
	if err != nil {
		return nil, fmt.Errorf("result page: %w", err)
	}
	if p.assets, err = web.Assets(static); err != nil {
		return nil, fmt.Errorf("result page: %w", err)
	}
	return p, nil
}

// register mounts the results page, the static files and the icon. The security headers are the business of who serves
// the mux.
func (p *resultPages) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.serveResult)
	mux.Handle("GET "+web.StaticPath, p.assets)
	mux.HandleFunc("GET /favicon.ico", p.assets.Icon)
}

func (p *resultPages) serveResult(w http.ResponseWriter, r *http.Request) {
	web.Render(w, http.StatusOK, pages.Result(p.assets, p.resultData(r, p.current(), time.Now())))
}

func (p *resultPages) resultData(r *http.Request, v view, now time.Time) pages.ResultPage {
	total := v.Counts.Total()
	d := pages.ResultPage{
		Theme: web.Theme(r), Masthead: p.masthead(r, web.HereResults), Kiosk: r.URL.Query().Has("kiosk"), TraceShare: p.traceShare,
		Known: v.Known, Stale: v.Stale, Title: "Results", Total: total, GroupedTotal: ballot.Digits(total),
	}
	for _, pet := range ballot.Choices() {
		count := v.Counts.Of(pet)
		d.Rows = append(d.Rows, pages.ResultRow{Pet: string(pet), Count: count, Grouped: ballot.Digits(count), Share: share(count, total), Part: part(count, total)})
	}
	if v.Known {
		d.Leader, d.Title = leader(v.Counts)
		age := max(now.Sub(v.AsOf), 0)
		d.AgeMS, d.Age = age.Milliseconds(), inWords(age)
	}
	return d
}

// share gives a pet's part of all votes in per cent as people read it, with one decimal. All and nothing are said only of
// all and nothing.
func share(count, total int64) string {
	switch text := part(count, total); {
	case text == "0.0" && count > 0:
		return "<0.1"
	case text == "100.0" && count < total:
		return ">99.9"
	default:
		return text
	}
}

// part gives the same as a number.
func part(count, total int64) string {
	if total == 0 {
		return "0.0"
	}
	return strconv.FormatFloat(math.Round(1000*float64(count)/float64(total))/10, 'f', 1, 64)
}

// inWords gives an age in its largest whole unit, as the page's module does.
func inWords(age time.Duration) string {
	switch {
	case age < 2*time.Second:
		return "just now"
	case age < 2*time.Minute:
		return fmt.Sprintf("%d seconds ago", int(age.Seconds()))
	case age < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(age.Minutes()))
	}
	return fmt.Sprintf("%d hours ago", int(age.Hours()))
}

func (p *resultPages) masthead(r *http.Request, here web.Here) web.Masthead {
	return web.Masthead{Vote: web.Sibling(p.voteURL, r.Host, votePort), Results: web.Link{Href: "/"}, Here: here}
}
