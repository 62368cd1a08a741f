package main

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"petvote/shared/ballot"
	"petvote/shared/web"
)

//go:embed web
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

// page is the results page and the page of a receipt. The first answer already holds the numbers; the modules keep them
// current, and without JavaScript the page asks for itself again every few seconds.
type page struct {
	voteURL   string // without a trailing slash; empty: not configured
	jaegerURL string // the same
	current   func() view
	assets    *web.AssetSet
	templates *template.Template
}

// newPage builds the pages. Both addresses may be empty; otherwise they have to be absolute http or https URLs. current
// is called for each page and has to be quick and safe for concurrent use. A template that can't be rendered is reported
// here and not by the first visitor.
func newPage(voteURL, jaegerURL string, current func() view) (*page, error) {
	p := &page{current: current}
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
	if p.templates, err = p.assets.Templates(pageFiles, "web/*.html"); err != nil {
		return nil, fmt.Errorf("result page: %w", err)
	}
	if err = p.templates.ExecuteTemplate(io.Discard, "result.html", p.resultData("localhost", view{}, time.Now())); err != nil {
		return nil, fmt.Errorf("result page: %w", err)
	}
	if err = p.templates.ExecuteTemplate(io.Discard, "receipt.html", p.receiptData(receiptView{Counted: true})); err != nil {
		return nil, fmt.Errorf("receipt page: %w", err)
	}
	return p, nil
}

// register mounts the results page, the static files and the icon, each with the security headers.
func (p *page) register(mux *http.ServeMux) {
	mux.Handle("GET /{$}", web.SecurityHeaders(http.HandlerFunc(p.serveResult)))
	mux.Handle("GET "+web.StaticPath, web.SecurityHeaders(p.assets))
	mux.Handle("GET /favicon.ico", web.SecurityHeaders(http.HandlerFunc(p.assets.Icon)))
}

func (p *page) serveResult(w http.ResponseWriter, r *http.Request) {
	data := p.resultData(r.Host, p.current(), time.Now())
	if err := web.Render(w, http.StatusOK, p.templates, "result.html", data); err != nil {
		slog.ErrorContext(r.Context(), "result page", "error", err)
		http.Error(w, "The page could not be built.", http.StatusInternalServerError)
	}
}

type resultPageData struct {
	Masthead masthead
	Known    bool
	Stale    bool
	Rows     []resultRow
	Total    int64
	AgeMS    int64  // of the numbers when the page was built
	Age      string // the same in words
}

// resultRow is one pet's line: its votes, and its share of all votes in per cent with one decimal.
type resultRow struct {
	Pet   ballot.Choice
	Count int64
	Share string
}

func (p *page) resultData(host string, v view, now time.Time) resultPageData {
	d := resultPageData{Masthead: p.masthead(host, true), Known: v.Known, Stale: v.Stale, Total: v.Counts.Total()}
	for _, pet := range ballot.Choices() {
		count := v.Counts.Of(pet)
		d.Rows = append(d.Rows, resultRow{Pet: pet, Count: count, Share: share(count, d.Total)})
	}
	if v.Known {
		age := max(now.Sub(v.AsOf), 0)
		d.AgeMS, d.Age = age.Milliseconds(), inWords(age)
	}
	return d
}

// Grouped gives the count with a comma between each three digits, as the page's module formats it.
func (r resultRow) Grouped() string { return grouped(r.Count) }

// GroupedTotal gives the total in the same way.
func (d resultPageData) GroupedTotal() string { return grouped(d.Total) }

func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

func share(count, total int64) string {
	if total == 0 {
		return "0.0"
	}
	return strconv.FormatFloat(100*float64(count)/float64(total), 'f', 1, 64)
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

// masthead is the head of both pages. The link to the voting page has the configured address, or a guess, of which the
// browser corrects the host.
type masthead struct {
	VoteLink  string
	VotePort  int // of the guess; 0 if configured
	OnResults bool
}

func (p *page) masthead(host string, onResults bool) masthead {
	if p.voteURL != "" {
		return masthead{VoteLink: p.voteURL + "/", OnResults: onResults}
	}
	return masthead{VoteLink: web.SiblingURL(host, votePort), VotePort: votePort, OnResults: onResults}
}

// receiptView is what is known of one vote. Without Counted only the ID has to be set.
type receiptView struct {
	ID       string
	Pet      string
	Counted  bool
	CastAt   time.Time
	StoredAt time.Time
	TraceID  string // empty if unknown
}

type receiptPageData struct {
	receiptView
	Masthead  masthead
	TraceLink string // empty if there is no trace, or no Jaeger to show it
}

// renderReceipt answers with a vote's receipt, or says that the vote is not counted yet. After an error nothing has been
// written.
func (p *page) renderReceipt(w http.ResponseWriter, status int, r receiptView) error {
	web.SetSecurityHeaders(w.Header())
	return web.Render(w, status, p.templates, "receipt.html", p.receiptData(r))
}

func (p *page) receiptData(r receiptView) receiptPageData {
	d := receiptPageData{receiptView: r, Masthead: p.masthead("", false)}
	if p.jaegerURL != "" && r.TraceID != "" {
		d.TraceLink = p.jaegerURL + "/trace/" + r.TraceID
	}
	return d
}

// Took gives the time from the vote's casting to its being stored. The two come from clocks of two machines; where they
// contradict each other it gives nothing.
func (r receiptView) Took() string {
	switch took := r.StoredAt.Sub(r.CastAt); {
	case took < 0:
		return ""
	case took < 10*time.Second:
		return fmt.Sprintf("%d ms", took.Milliseconds())
	default:
		return took.Round(time.Second).String()
	}
}

// Clock gives a time as the receipt shows it.
func (r receiptView) Clock(t time.Time) string {
	return t.UTC().Format("2 January 2006, 15:04:05.000 UTC")
}

// Machine gives a time as the datetime attribute wants it.
func (r receiptView) Machine(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
