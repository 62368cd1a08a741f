package main

import (
	"net/http"
	"net/url"
	"time"

	pages "petvote/services/result/web"
	"petvote/shared/web"
)

// renderReceipt answers with a vote's receipt as a page.
func (p *resultPages) renderReceipt(w http.ResponseWriter, r *http.Request, status int, found receipt) {
	web.Render(w, status, pages.Receipt(p.assets, p.receiptData(r, found)))
}

// headlines say in a sentence what has become of a vote. receipt.js has those that a page can come to later.
var headlines = map[state]string{
	stateQueued:       "This vote was accepted and waits in the queue. It is counted as soon as it can be stored.",
	stateCounted:      "This vote is counted, once.",
	stateShown:        "This vote is counted, once.",
	stateDeadLettered: "This vote was accepted, but could not be stored. It lies with the dead letters, where it can be replayed.",
	stateUnavailable:  "What became of this vote can't be told right now. Please try again in a moment.",
	stateUnknown:      "No vote with this number was found. It was never accepted here.",
}

func (p *resultPages) receiptData(r *http.Request, found receipt) pages.ReceiptPage {
	d := pages.ReceiptPage{
		Theme: web.Theme(r), Masthead: p.masthead(r, web.HereElsewhere), ID: found.ID.String(), State: string(found.State),
		Headline: headlines[found.State], Pet: string(found.Pet), Journey: steps(found),
		Cast: moment(found.CastAt), Stored: moment(found.StoredAt), Reason: string(found.Reason), TraceID: found.TraceID,
	}
	if p.jaegerURL != "" && found.TraceID != "" {
		d.TraceLink = p.jaegerURL + "/trace/" + url.PathEscape(found.TraceID)
	}
	return d
}

// stations draws the journey as journey.js does.
func steps(found receipt) []web.Step {
	if found.State == stateUnknown || found.State == stateUnavailable {
		return nil
	}
	reached := map[state]int{stateQueued: 1, stateDeadLettered: 1, stateCounted: 2, stateShown: 3}[found.State]
	row := web.Steps()
	for i, at := range []time.Time{found.CastAt, found.QueuedAt, found.StoredAt, found.ShownAt} {
		switch {
		case i == 0:
			row[i] = row[i].Reached("")
		case i <= reached:
			row[i] = row[i].Reached(web.After(found.CastAt, at))
		case i == reached+1 && found.State == stateDeadLettered:
			row[i] = row[i].Failed("it could not be stored, and lies with the dead letters")
		case i == reached+1:
			row[i] = row[i].Next()
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
