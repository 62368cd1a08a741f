package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
	"petvote/shared/tracecontext"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// browser is the Accept header of one.
const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// journey is everything known of one vote, as the store and the queue; it records the look-ups.
type journey struct {
	stored    votestore.Receipt
	storeErrs []error // of the first look-ups; later ones find what is stored
	location  votestream.Location
	queueErr  error
	pushes    []string // snapshots

	asked []string
	id    uuid.UUID // of the last look-up
}

func (j *journey) Receipt(_ context.Context, id uuid.UUID) (votestore.Receipt, error) {
	j.asked, j.id = append(j.asked, "store"), id
	if len(j.storeErrs) == 0 {
		return j.stored, nil
	}
	err := j.storeErrs[0]
	j.storeErrs = j.storeErrs[1:]
	return votestore.Receipt{}, err
}

func (j *journey) Find(_ context.Context, id uuid.UUID) (votestream.Location, error) {
	j.asked, j.id = append(j.asked, "queue"), id
	return j.location, j.queueErr
}

// api serves the receipt; the pushes were a second apart.
func (j *journey) api(t *testing.T) *api {
	t.Helper()
	c := &tallyCache{}
	for i, text := range j.pushes {
		c.pushes.add(snapshot(t, text), castVote.CastAt.Add(time.Duration(i+1)*time.Second))
	}
	return &api{cache: c, store: j, queue: j, pages: newTestPages(t, linked, view{})}
}

func (j *journey) ask(t *testing.T, accept ...string) *httptest.ResponseRecorder {
	t.Helper()
	return j.api(t).get(t, "/votes/"+testVoteID, accept...)
}

func twice(err error) []error { return []error{err, err} }

const (
	testVoteID  = "0190f3c0-0000-7000-8000-00000000000a"
	testTraceID = "4bf92f3577b34da6a3ce929d0e0e4736"
)

var (
	linked   = settings{VoteURL: "https://vote.example", JaegerURL: "https://jaeger.example"}
	castVote = ballot.Vote{ID: uuid.MustParse(testVoteID), Pet: ballot.Cats,
		CastAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	storedVote = votestore.Receipt{Vote: castVote, EntryID: "1767323045001-0", StoredAt: castVote.CastAt.Add(time.Second),
		Transaction: 747, TraceID: testTraceID}
	queuedVote = votestream.Location{EntryID: "1767323045001-0", Message: votestream.Message{
		Vote: castVote, Trace: tracecontext.TraceContext{Parent: "00-" + testTraceID + "-00f067aa0ba902b7-01"},
	}}
	deadVote = votestream.Location{Dead: true, Reason: votestream.ReasonRejected,
		EntryID: "1767323046000-0", Message: queuedVote.Message}
	notYet = []error{votestore.ErrNoVote} // of the first look-up of a vote that is not stored yet
)

var stepElement = regexp.MustCompile(
	`<li data-step="\w+" data-state="(\w+)"[^>]*>.*?<span class="ms">(.*?)</span>`)

// Programs get the receipt in JSON and browsers as a page.
func TestAReceiptSaysHowFarTheVoteHasCome(t *testing.T) {
	const (
		cast   = `,"pet":"cats","cast_at":"2026-01-02T03:04:05Z"`
		queued = `,"queued_at":"2026-01-02T03:04:05.001Z"`
		stored = `,"stored_at":"2026-01-02T03:04:06Z"`
		shown  = `,"shown_at":"2026-01-02T03:04:08Z"`
		trace  = `,"trace_id":"` + testTraceID + `"`

		isQueued  = `"state":"queued","counted":false`
		isCounted = `"state":"counted","counted":true`
		isShown   = `"state":"shown","counted":true`
		isDead    = `"state":"given_up","counted":false`

		waiting, done = "done, done 1 ms, now, open", "done, done 1 ms, done 1000 ms, "
	)
	bare := votestore.Receipt{Vote: castVote, StoredAt: storedVote.StoredAt, Transaction: storedVote.Transaction}
	nowhere := journey{storeErrs: twice(votestore.ErrNoVote), queueErr: votestream.ErrNotQueued}
	for name, c := range map[string]struct {
		journey journey
		json    string // after the id
		asked   string
		steps   string // state and time of each
		says    string
	}{
		"nobody cast it": {nowhere,
			`"state":"unknown","counted":false`, "store queue store", "", "There is no vote with this ID"},
		"it is queued": {journey{storeErrs: notYet, location: queuedVote},
			isQueued + cast + queued + trace, "store queue", waiting, "is waiting in the queue"},
		"it is queued while PostgreSQL is down": {journey{storeErrs: []error{errDown}, location: queuedVote},
			isQueued + cast + queued + trace, "store queue", waiting, "waiting to be stored"},
		"its entry is malformed": {journey{storeErrs: notYet, location: votestream.Location{EntryID: "1767323045001-0"}},
			isQueued + queued, "store queue", "done, done, now, open", "is waiting in the queue"},
		"it is a dead letter": {journey{storeErrs: notYet, location: deadVote},
			isDead + cast + trace + `,"reason":"rejected"`, "store queue", "done, done, failed, open", "<dd>rejected</dd>"},
		"it was stored during the search": {
			journey{storeErrs: notYet, stored: storedVote, queueErr: votestream.ErrNotQueued},
			isCounted + cast + queued + stored + trace, "store queue store", done + "now", "waiting for the next push"},
		"it was stored while Redis was down": {journey{storeErrs: notYet, stored: storedVote, queueErr: errDown},
			isCounted + cast + queued + stored + trace, "store queue store", done + "now", "counted, exactly once"},
		"it is stored, and nothing pushed yet": {journey{stored: storedVote},
			isCounted + cast + queued + stored + trace, "store", done + "now", "2 January 2026, 03:04:06.000 UTC"},
		"it is stored and not pushed": {journey{stored: storedVote, pushes: []string{"700:700:", "747:750:747"}},
			isCounted + cast + queued + stored + trace, "store", done + "now", "counted, exactly once"},
		"it was pushed": {
			journey{stored: storedVote, pushes: []string{"700:700:", "747:750:747", "750:750:", "760:760:"}},
			isShown + cast + queued + stored + shown + trace, "store", done + "done 3000 ms", "counted, exactly once"},
		"it was pushed too long ago": {journey{stored: storedVote, pushes: []string{"750:750:", "760:760:"}},
			isShown + cast + queued + stored + trace, "store", done + "done", "counted, exactly once"},
		"it is stored, and little known of it": {journey{stored: bare},
			isCounted + cast + stored, "store", "done, done, done 1000 ms, now", "counted, exactly once"},
	} {
		t.Run(name, func(t *testing.T) {
			status := http.StatusOK
			if strings.Contains(c.json, "unknown") {
				status = http.StatusNotFound
			}
			again := c.journey
			w := c.journey.ask(t)
			wantAnswer(t, w, status, `{"id":"`+testVoteID+`",`+c.json+`}`)
			if asked := strings.Join(c.journey.asked, " "); asked != c.asked || c.journey.id.String() != testVoteID {
				t.Errorf("asked %s for %v, want %s", asked, c.journey.id, c.asked)
			}
			if h := w.Header(); h.Get("Content-Type") != "application/json" || h.Get("Vary") != "Accept" {
				t.Errorf("header %v", h)
			}
			w = again.ask(t, browser)
			body := w.Body.String()
			if w.Code != status || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html;") {
				t.Errorf("the page: %d, header %v", w.Code, w.Header())
			}
			var steps []string
			for _, m := range stepElement.FindAllStringSubmatch(body, -1) {
				steps = append(steps, strings.TrimSpace(m[1]+" "+m[2]))
			}
			if got := strings.Join(steps, ", "); got != c.steps {
				t.Errorf("the journey is %q, want %q", got, c.steps)
			}
			state, _, _ := strings.Cut(strings.TrimPrefix(c.json, `"state":"`), `"`)
			wantInPage(t, body, c.says, `data-state="`+state+`"`, testVoteID, `href="https://vote.example/"`)
			link := `href="https://jaeger.example/trace/` + testTraceID + `"`
			if strings.Contains(body, link) != strings.Contains(c.json, trace) || strings.Contains(body, "0001") {
				t.Errorf("the page has a link to an unknown trace, or lacks a known one, or has an unknown time:\n%s", body)
			}
		})
	}
}

func TestAVoteIsUnknownOnlyIfItWasLookedForEverywhere(t *testing.T) {
	thenDown := []error{votestore.ErrNoVote, errDown}
	for name, c := range map[string]struct {
		journey journey
		asked   int
	}{
		"PostgreSQL is down":     {journey{storeErrs: []error{errDown}, queueErr: votestream.ErrNotQueued}, 2},
		"PostgreSQL goes down":   {journey{storeErrs: thenDown, queueErr: votestream.ErrNotQueued}, 3},
		"Redis is down":          {journey{storeErrs: twice(votestore.ErrNoVote), queueErr: errDown}, 3},
		"both are down":          {journey{storeErrs: thenDown, queueErr: errDown}, 3},
		"the queue is too long":  {journey{storeErrs: twice(votestore.ErrNoVote), queueErr: votestream.ErrSearchLimit}, 3},
		"the key is not a queue": {journey{storeErrs: twice(votestore.ErrNoVote), queueErr: votestream.ErrForeignKey}, 3},
	} {
		again := c.journey
		w, page := c.journey.ask(t), again.ask(t, browser)
		for _, w := range []*httptest.ResponseRecorder{w, page} {
			retryAfter := w.Header().Get("Retry-After")
			if w.Code != http.StatusServiceUnavailable || retryAfter != "1" || len(c.journey.asked) != c.asked {
				t.Errorf("%s: %d, Retry-After %q, asked %v", name, w.Code, retryAfter, c.journey.asked)
			}
		}
		tooLong := errors.Is(c.journey.queueErr, votestream.ErrSearchLimit)
		if strings.Contains(w.Body.String(), "the queue is too long to search") != tooLong {
			t.Errorf("%s: %s", name, w.Body)
		}
		wantInPage(t, page.Body.String(), `data-state="unavailable"`, "be looked up right now", testVoteID)
	}
}

func TestAnAddressWithoutAnIDIsNotLookedUp(t *testing.T) {
	j := &journey{stored: storedVote}
	w := j.api(t).get(t, "/votes/1")
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "a UUID") || len(j.asked) != 0 {
		t.Errorf("%d %s, asked %v", w.Code, w.Body, j.asked)
	}
}

// finderFunc is a queue.
type finderFunc func(context.Context) error

func (f finderFunc) Find(ctx context.Context, _ uuid.UUID) (votestream.Location, error) {
	return votestream.Location{}, f(ctx)
}

func TestAReceiptIsAnsweredWithinASecondWhateverRedisDoes(t *testing.T) {
	for name, redis := range map[string]finderFunc{
		"it hangs":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"it refuses": func(context.Context) error { return errDown },
	} {
		synctest.Test(t, func(t *testing.T) {
			q := newResilientQueue(redis, queuePolicy(nil))
			for range 20 {
				start := time.Now()
				a := (&journey{storeErrs: twice(votestore.ErrNoVote)}).api(t)
				a.queue = q
				w := a.get(t, "/votes/"+testVoteID)
				if took := time.Since(start); w.Code != http.StatusServiceUnavailable || took > time.Second {
					t.Errorf("%s: status %d after %v", name, w.Code, took)
				}
			}
		})
	}
}

func TestAVoteThatIsNotQueuedIsNoFailureOfRedis(t *testing.T) {
	policy := queuePolicy(nil)
	for _, want := range slices.Repeat([]error{votestream.ErrNotQueued, votestream.ErrSearchLimit}, 20) {
		q := newResilientQueue(finderFunc(func(context.Context) error { return want }), policy)
		if _, err := q.Find(t.Context(), castVote.ID); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
}

func TestConcurrentSearchesAreLimited(t *testing.T) {
	begun, end := make(chan struct{}, maxSearches), make(chan struct{})
	q := newResilientQueue(finderFunc(func(context.Context) error {
		begun <- struct{}{}
		<-end
		return votestream.ErrNotQueued
	}), queuePolicy(nil))
	var searches sync.WaitGroup
	for range maxSearches {
		searches.Go(func() { _, _ = q.Find(t.Context(), castVote.ID) })
	}
	for range maxSearches {
		<-begun
	}
	if _, err := q.Find(t.Context(), castVote.ID); !errors.Is(err, errBusy) {
		t.Errorf("err = %v", err)
	}
	close(end)
	searches.Wait()
	if _, err := q.Find(t.Context(), castVote.ID); !errors.Is(err, votestream.ErrNotQueued) {
		t.Errorf("afterwards: %v", err)
	}
}
