package systemtest

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"petvote/shared/ballot"
)

// receiptPage is the state of a receipt's page.
type receiptPage struct {
	State, Text string
	Trace       string // the address of the vote's trace
	Journey     []journeyStep
}

func readReceiptPage(p *tab) (receiptPage, error) {
	return look[receiptPage](p, `(() => {
		const receipt = document.getElementById('receipt');
		return {
			State: receipt.dataset.state, Text: receipt.textContent, Journey: `+journeyScript+`,
			Trace: document.querySelector('.details a')?.href ?? '',
		};
	})()`)
}

var milliseconds = regexp.MustCompile(`^\d+ (ms|s)$`)

func TestBrowserAVotesJourneyIsFollowedFromThePressToItsEnd(t *testing.T) {
	t.Parallel()
	const jaeger = "http://jaeger.example:16686"
	r, c := traced(t, "JAEGER_UI_URL="+jaeger)
	b := r.browser()
	results := r.open(b, r.Result.URL("/"))
	until(results, readResultPage, live)
	vote := r.open(b, r.Vote.URL("/"))

	r.step("to the screen, with its times and its trace", func(r *rig) {
		if v, err := readVotePage(vote); err != nil || len(v.Journey) > 0 {
			r.t.Errorf("before a vote its journey is shown: %+v, %v", v, err)
		}
		vote.run(`document.querySelector('button[value=cats]').click()`)
		v := until(vote, readVotePage, func(v votePage) bool { return arrived(v.Journey) && len(v.Links) > 1 })
		for i, s := range v.Journey {
			if want := i != 1; (want || s.Time != "") && !milliseconds.MatchString(s.Time) {
				r.t.Errorf("step %q was reached after %q", s.Name, s.Time)
			}
		}
		id := r.voteOf(v)
		var answer receipt
		r.must(r.get(v.Links["Receipt"], &answer))
		if answer.State != "shown" || len(answer.TraceID) != 32 || v.Links["Trace"] != jaeger+"/trace/"+answer.TraceID {
			r.t.Errorf("the receipt is %+v, the page links to the trace %q", answer, v.Links["Trace"])
		}
		if stored := r.stored(); len(stored) != 1 || stored[id] != ballot.Cats {
			r.t.Errorf("the receipt is of %q, stored: %v", id, stored)
		}
		receipt := r.open(b, v.Links["Receipt"])
		p, err := readReceiptPage(receipt)
		same := func(a, b journeyStep) bool { return a.Name == b.Name }
		if err != nil || p.Trace != v.Links["Trace"] || !arrived(p.Journey) || !slices.EqualFunc(p.Journey, v.Journey, same) {
			r.t.Errorf("the receipt's page shows %+v, %v", p, err)
		}
		r.clean(vote, receipt)

		spans := r.spansOf(c, answer.TraceID, append([]string{"cast vote", "render results"}, journey...)...)
		got := edges(spans)
		for _, edge := range append(voteEdges, "browser: cast vote < (root)", "vote: POST /vote < cast vote",
			"browser: render results < push results") {
			if got[edge] == 0 {
				r.t.Errorf("no edge %q in %v", edge, slices.Sorted(maps.Keys(got)))
			}
		}
		for edge := range got {
			root := strings.HasSuffix(edge, "(root)") && edge != "browser: cast vote < (root)"
			if root || strings.HasSuffix(edge, "(missing)") {
				r.t.Errorf("an orphan: %s", edge)
			}
		}
		render, push, press := find(spans, "render results"), find(spans, "push results"), find(spans, "cast vote")
		if render.StartTimeUnixNano+50e6 < push.StartTimeUnixNano || render.EndTimeUnixNano < press.StartTimeUnixNano {
			r.t.Errorf("pressed at %d, pushed at %d, drawn from %d",
				press.StartTimeUnixNano, push.StartTimeUnixNano, render.StartTimeUnixNano)
		}
	})
	r.step("in the queue until a worker comes", func(r *rig) {
		r.must(r.Worker.Kill())
		vote.click(choice(ballot.Dogs))
		waits := func(journey []journeyStep) bool {
			return states(journey) == "done done now open" && journey[2].What == "waiting to be stored" && journey[2].Time == ""
		}
		v := until(vote, readVotePage, func(v votePage) bool {
			return waits(v.Journey) && milliseconds.MatchString(v.Journey[1].Time)
		})
		receipt := r.open(b, v.Links["Receipt"])
		until(receipt, readReceiptPage, func(p receiptPage) bool {
			return p.State == "queued" && strings.Contains(p.Text, "is waiting in the queue") && waits(p.Journey)
		})
		r.must(r.Worker.Start(r.t.Context()))
		until(vote, readVotePage, func(v votePage) bool {
			return arrived(v.Journey) && v.Journey[2].What != "waiting to be stored"
		})
		until(receipt, readReceiptPage, func(p receiptPage) bool {
			return arrived(p.Journey) && p.Text == "This vote has been counted, exactly once."
		})
		r.clean(vote, receipt)
	})
	r.step("to the dead letters if it cannot be stored", func(r *rig) {
		before := len(r.stored())
		r.sql(`alter table votes add constraint no_lizards check (pet <> 'lizards')`)
		r.must(r.Worker.Kill())
		vote.click(choice(ballot.Lizards))
		v := until(vote, readVotePage, func(v votePage) bool { return states(v.Journey) == "done done now open" })
		receipt := r.open(b, v.Links["Receipt"])
		until(receipt, readReceiptPage, func(p receiptPage) bool { return p.State == "queued" })

		r.must(r.Worker.Start(r.t.Context()))
		failed := func(journey []journeyStep) bool {
			return states(journey) == "done done failed open" &&
				journey[2].What == "could not be stored; moved to the dead letters"
		}
		until(vote, readVotePage, func(v votePage) bool { return failed(v.Journey) })
		given := func(p receiptPage) bool {
			return p.State == "given_up" && failed(p.Journey) &&
				strings.HasPrefix(p.Text, "This vote was accepted, but could not be stored.")
		}
		until(receipt, readReceiptPage, given)
		receipt.reload() // as the server draws it
		until(receipt, readReceiptPage, given)
		if st := r.drained(); st.Dead != 1 || len(r.stored()) != before {
			r.t.Errorf("%+v, stored: %v", st, r.stored())
		}
		r.clean(vote, receipt)
	})
}
