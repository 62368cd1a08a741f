package main

import (
	"embed"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	pages "petvote/services/result/web"
	"petvote/shared/ballot"
	"petvote/shared/web"
)

//go:embed web/static
var staticFiles embed.FS

// votePort is the port of the voting page if no address is configured.
const votePort = 8084

// view is the tally as a page shows it.
type view struct {
	Counts ballot.Counts
	Known  bool      // false until the first tally has been read
	AsOf   time.Time // when the counts were read
	Stale  bool      // whether they may have changed since
}

// resultPages serves the results page and the receipts. The first answer already holds the numbers. The results page's
// modules keep them current; without JavaScript it reloads itself every few seconds.
type resultPages struct {
	settings   settings
	traceShare string // from telemetry.TraceShare
	current    func() view
	assets     *web.AssetSet
}

// newResultPages returns the pages. They call current for each page, concurrently.
func newResultPages(cfg settings, traceShare string, current func() view) *resultPages {
	return &resultPages{settings: cfg, traceShare: traceShare, current: current,
		assets: web.Assets(staticFiles, cfg.BasePath)}
}

// register mounts the results page, the static files and the icon.
func (p *resultPages) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.serveResult)
	p.assets.Register(mux)
}

func (p *resultPages) serveResult(w http.ResponseWriter, r *http.Request) {
	v := p.current()
	total := v.Counts.Total()
	d := pages.ResultPage{
		Theme: web.Theme(r), Masthead: p.masthead(r, web.HereResults), Kiosk: r.URL.Query().Has("kiosk"),
		TraceShare: p.traceShare, Known: v.Known, Stale: v.Stale, Title: "Results",
		Total: total, GroupedTotal: ballot.Digits(total),
	}
	for _, pet := range ballot.Choices() {
		n := v.Counts.Of(pet)
		row := pages.ResultRow{Pet: string(pet), Count: n, Grouped: ballot.Digits(n)}
		row.Percent, row.Share = share(n, total)
		d.Rows = append(d.Rows, row)
	}
	if v.Known {
		d.Leader, d.Title = leader(v.Counts)
		age := max(time.Since(v.AsOf), 0)
		d.AgeMS, d.Age = age.Milliseconds(), inWords(age)
	}
	web.Render(w, http.StatusOK, pages.Result(p.assets, d))
}

// share returns a pet's share of all votes in per cent, as a number and as text. The text is 100.0 only for all votes,
// and 0.0 only for none.
func share(count, total int64) (percent, text string) {
	if total == 0 {
		return "0.0", "0.0"
	}
	percent = strconv.FormatFloat(math.Round(1000*float64(count)/float64(total))/10, 'f', 1, 64)
	switch {
	case percent == "0.0" && count > 0:
		return percent, "<0.1"
	case percent == "100.0" && count < total:
		return percent, ">99.9"
	}
	return percent, percent
}

// leader names the leader in a sentence, and in a few words for the title of the page. leader.js does the same.
func leader(c ballot.Counts) (sentence, title string) {
	total := c.Total()
	if total == 0 {
		return "No votes yet.", "No votes yet"
	}
	pets := map[int64][]string{} // by their votes
	for _, pet := range ballot.Choices() {
		pets[c.Of(pet)] = append(pets[c.Of(pet)], string(pet))
	}
	votes := slices.Sorted(maps.Keys(pets))
	most := votes[len(votes)-1]
	first := web.Label(list(pets[most]))
	_, part := share(most, total)
	if len(votes) == 1 {
		return first + " are level.", "All level"
	}
	if len(pets[most]) > 1 {
		title = first + " share the lead"
		return fmt.Sprintf("%s, with %s\u00a0%% each.", title, part), title
	}
	second := votes[len(votes)-2]
	noun := "votes"
	if most-second == 1 {
		noun = "vote"
	}
	title = first + " lead"
	return fmt.Sprintf("%s with %s\u00a0%%, %s %s ahead of %s.",
		title, part, ballot.Digits(most-second), noun, list(pets[second])), title
}

// list joins words as a sentence does: "dogs, cats and lizards".
func list(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// inWords returns an age in its largest whole unit, as age.js does.
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
	vote := web.Sibling(p.settings.VoteURL, r.Host, votePort)
	return web.Masthead{Vote: vote, Results: web.Link{Href: p.assets.Base + "/"}, Here: here}
}

// headlines describe the states in a sentence; receipt.js has those that an open page can reach.
var headlines = map[state]string{
	stateQueued:  "This vote was accepted and is waiting in the queue. It will be counted as soon as it is stored.",
	stateCounted: "This vote has been counted, exactly once.",
	stateShown:   "This vote has been counted, exactly once.",
	stateDeadLettered: "This vote was accepted, but could not be stored. " +
		"It is among the dead letters and can be replayed from there.",
	stateUnavailable: "This vote can't be looked up right now. Please try again in a moment.",
	stateMalformed:   "This is not the address of a receipt. The voting page links to that of each vote.",
	stateUnknown:     "There is no vote with this ID. It was never accepted here.",
	stateQueuedOrUnknown: "This vote is not counted. It may be waiting in the queue, or it was never accepted here. " +
		"Open its receipt from the voting page to see whether it is queued.",
}

// renderReceipt answers with a receipt as a page.
func (p *resultPages) renderReceipt(w http.ResponseWriter, r *http.Request, status int, v receipt) {
	d := pages.ReceiptPage{
		Theme: web.Theme(r), Masthead: p.masthead(r, web.HereElsewhere), ID: v.ID.String(), State: string(v.State),
		Headline: headlines[v.State], Pet: string(v.Pet), Journey: steps(v), Cast: moment(v.CastAt),
		Stored: moment(v.StoredAt), Reason: string(v.Reason), TraceID: v.TraceID,
	}
	if jaeger := string(p.settings.JaegerURL); jaeger != "" && v.TraceID != "" {
		d.TraceLink = jaeger + "/trace/" + url.PathEscape(v.TraceID)
	}
	web.Render(w, status, pages.Receipt(p.assets, d))
}

// steps is the journey of a known vote, as journey.js shows it.
func steps(v receipt) []web.Step {
	done := map[state]int{stateQueued: 1, stateDeadLettered: 1, stateCounted: 2, stateShown: 3}[v.State] // after the first
	if done == 0 {
		return nil
	}
	row := web.Steps()
	row[0].Done("")
	for i, at := range []time.Time{v.QueuedAt, v.StoredAt, v.ShownAt} {
		switch step := &row[i+1]; {
		case i < done:
			step.Done(web.After(v.CastAt, at))
		case i == done && v.State == stateDeadLettered:
			step.Failed("could not be stored; moved to the dead letters")
		case i == done:
			step.Now()
		}
	}
	return row
}

func moment(t time.Time) pages.Moment {
	if t.IsZero() {
		return pages.Moment{}
	}
	t = t.UTC()
	return pages.Moment{Machine: t.Format(time.RFC3339Nano), Clock: t.Format("2 January 2006, 15:04:05.000 UTC")}
}
