package systemtest

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

	"petvote/shared/ballot"
)

// receiptPage is what the page of a receipt shows.
type receiptPage struct {
	State, Text string
	Trace       string // where its trace is
	Journey     []station
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

// arrived says that a vote has come to the end of its journey.
func arrived(journey []station) bool { return states(journey) == "done done done done" }

// sql changes the database behind the services' backs.
func (r *rig) sql(statements ...string) {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.Postgres.URL())
	r.must(err)
	defer conn.Close(context.Background())
	for _, s := range statements {
		_, err := conn.Exec(r.t.Context(), s)
		r.must(err)
	}
}

var milliseconds = regexp.MustCompile(`^\d+ (ms|s)$`)

func TestBrowserJourneyIsFollowedToTheScreenWithItsTimesAndTrace(t *testing.T) {
	t.Parallel()
	const jaeger = "http://jaeger.example:16686"
	r := newRig(t, withEnv("JAEGER_UI_URL="+jaeger))
	b := r.browser()
	vote := r.open(b, r.Vote.URL("/"))
	if v, err := readVotePage(vote); err != nil || len(v.Journey) > 0 {
		t.Errorf("before a vote its journey is shown: %+v, %v", v, err)
	}
	vote.click(choice(ballot.Cats))
	v := until(vote, readVotePage, func(v votePage) bool { return arrived(v.Journey) })
	for i, s := range v.Journey {
		if want := i != 1; (want || s.Time != "") && !milliseconds.MatchString(s.Time) {
			t.Errorf("station %q was reached after %q", s.Name, s.Time)
		}
	}
	id := strings.TrimPrefix(v.Links["Receipt"], r.Result.URL("/votes/"))
	var answer struct {
		TraceID string `json:"trace_id"`
		State   string `json:"state"`
	}
	r.must(r.get(r.Result.URL("/votes/"+id), &answer))
	if answer.State != "shown" || len(answer.TraceID) != 32 || v.Links["Trace"] != jaeger+"/trace/"+answer.TraceID {
		t.Errorf("the receipt is %+v, the page links to the trace %q", answer, v.Links["Trace"])
	}
	if stored := r.stored(); len(stored) != 1 || stored[id] != ballot.Cats {
		t.Errorf("the receipt is of %q, stored: %v", id, stored)
	}
	receipt := r.open(b, v.Links["Receipt"])
	if p, err := readReceiptPage(receipt); err != nil || p.Trace != v.Links["Trace"] || !arrived(p.Journey) || !slices.Equal(names(p.Journey), names(v.Journey)) {
		t.Errorf("the receipt's page shows %+v, %v", p, err)
	}
	r.clean(vote, receipt)
}

func names(journey []station) []string {
	var list []string
	for _, s := range journey {
		list = append(list, s.Name)
	}
	return list
}

func TestBrowserJourneyStandsInTheQueueUntilAWorkerComes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	vote := r.open(b, r.Vote.URL("/"))
	r.must(r.Worker.Kill())
	vote.click(choice(ballot.Dogs))
	stands := func(journey []station) bool {
		return states(journey) == "done done now open" && journey[2].What == "waiting to be stored" && journey[2].Time == ""
	}
	v := until(vote, readVotePage, func(v votePage) bool { return stands(v.Journey) && milliseconds.MatchString(v.Journey[1].Time) })
	receipt := r.open(b, v.Links["Receipt"])
	until(receipt, readReceiptPage, func(p receiptPage) bool {
		return p.State == "queued" && strings.Contains(p.Text, "is waiting in the queue") && stands(p.Journey)
	})

	r.must(r.Worker.Start(t.Context()))
	until(vote, readVotePage, func(v votePage) bool { return arrived(v.Journey) && v.Journey[2].What != "waiting to be stored" })
	until(receipt, readReceiptPage, func(p receiptPage) bool {
		return arrived(p.Journey) && p.Text == "This vote has been counted, exactly once."
	})
	r.clean(vote, receipt)
}

func TestBrowserJourneyBeginsWithTheWaitForTheServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	vote := r.open(r.browser(), r.Vote.URL("/"))
	r.must(r.Redis.Kill())
	vote.click(choice(ballot.Lizards))
	v := until(vote, readVotePage, func(v votePage) bool {
		return states(v.Journey) == "now open open open" && v.Journey[0].What == "kept here until the server accepts it"
	})
	if len(v.Links) > 0 {
		t.Errorf("a vote that is not accepted has links: %v", v.Links)
	}
	r.must(r.Redis.Start(t.Context()))
	v = until(vote, readVotePage, func(v votePage) bool { return arrived(v.Journey) })
	if v.Journey[0].What == "kept here until the server accepts it" || v.Links["Receipt"] == "" {
		t.Errorf("at the end the page shows %+v", v)
	}
	r.drained()
}

func TestBrowserJourneyOfAVoteThatCannotBeStoredEndsWithTheDeadLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	vote := r.open(b, r.Vote.URL("/"))
	r.sql(`alter table votes add constraint no_lizards check (pet <> 'lizards')`)
	r.must(r.Worker.Kill())
	vote.click(choice(ballot.Lizards))
	v := until(vote, readVotePage, func(v votePage) bool { return states(v.Journey) == "done done now open" })
	receipt := r.open(b, v.Links["Receipt"])
	until(receipt, readReceiptPage, func(p receiptPage) bool { return p.State == "queued" })

	r.must(r.Worker.Start(t.Context()))
	failed := func(journey []station) bool {
		return states(journey) == "done done failed open" && journey[2].What == "could not be stored; moved to the dead letters"
	}
	until(vote, readVotePage, func(v votePage) bool { return failed(v.Journey) })
	given := func(p receiptPage) bool {
		return p.State == "given_up" && strings.HasPrefix(p.Text, "This vote was accepted, but could not be stored.") && failed(p.Journey)
	}
	until(receipt, readReceiptPage, given)
	receipt.do(chromedp.Reload()) // as the server draws it
	until(receipt, readReceiptPage, given)
	if st := r.drained(); st.Dead != 1 || len(r.stored()) != 0 {
		t.Errorf("%+v, stored: %v", st, r.stored())
	}
	r.clean(vote, receipt)
}
