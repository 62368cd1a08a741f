package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
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

// browser is what one accepts.
const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// journey is all that is known of one vote, and where it was asked for.
type journey struct {
	stored    votestore.Receipt
	storeErrs []error // of one read after the other; those that follow find what is stored
	seen      votestream.Sighting
	queueErr  error
	pushes    []string // snapshots

	asked []string
	id    uuid.UUID // that was asked for last
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

func (j *journey) Find(_ context.Context, id uuid.UUID) (votestream.Sighting, error) {
	j.asked, j.id = append(j.asked, "queue"), id
	return j.seen, j.queueErr
}

func (j *journey) api(t *testing.T) *api {
	t.Helper()
	return &api{receipts: &receipts{store: j, queue: j, shownAt: pushedBy(t, j.pushes).shownAt, pages: newTestPage(t, "", "", view{})}}
}

func (j *journey) ask(t *testing.T, accept ...string) *httptest.ResponseRecorder {
	t.Helper()
	return j.api(t).get(t, "/votes/"+testVoteID, accept...)
}

func twice(err error) []error { return []error{err, err} }

// once is the answer to the first read of a vote that is not stored yet.
var once = []error{votestore.ErrNoVote}

var (
	castVote = ballot.Vote{ID: uuid.MustParse(testVoteID), Pet: ballot.Cats, CastAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	queuedAt = castVote.CastAt.Add(time.Millisecond)

	storedVote = votestore.Receipt{
		Vote: castVote, QueuedAt: queuedAt, StoredAt: castVote.CastAt.Add(time.Second), Transaction: 747,
		TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
	waitingVote = votestream.Sighting{QueuedAt: queuedAt, EntryID: "1767323045001-0", Message: votestream.Message{
		Vote: castVote, Trace: tracecontext.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	}}
	deadVote = votestream.Sighting{
		GivenUp: true, Reason: votestream.ReasonRejected, FailedAt: queuedAt, EntryID: "1767323046000-0", Message: waitingVote.Message,
	}
)

// pushedBy is a log that begins with one snapshot and goes on with others, a second apart.
func pushedBy(t *testing.T, snapshots []string) *pushTimes {
	t.Helper()
	l := &pushTimes{}
	for i, text := range snapshots {
		l.add(snapshot(t, text), castVote.CastAt.Add(time.Duration(i+1)*time.Second))
	}
	return l
}

func TestAReceiptSaysHowFarTheVoteHasCome(t *testing.T) {
	const (
		cast   = `,"pet":"cats","cast_at":"2026-01-02T03:04:05Z"`
		queued = `,"queued_at":"2026-01-02T03:04:05.001Z"`
		stored = `,"stored_at":"2026-01-02T03:04:06Z"`
		trace  = `,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"`
	)
	bare := votestore.Receipt{Vote: castVote, StoredAt: storedVote.StoredAt, Transaction: storedVote.Transaction}
	for name, c := range map[string]struct {
		journey *journey
		status  int
		want    string // after the id
		asked   string
	}{
		"nobody cast it": {&journey{storeErrs: twice(votestore.ErrNoVote), queueErr: votestream.ErrNotQueued}, 404,
			`"state":"unknown","counted":false`, "store queue store"},
		"it waits": {&journey{storeErrs: once, seen: waitingVote}, 200, `"state":"queued","counted":false` + cast + queued + trace, "store queue"},
		"it waits while PostgreSQL is away": {&journey{storeErrs: []error{errDown}, seen: waitingVote}, 200,
			`"state":"queued","counted":false` + cast + queued + trace, "store queue"},
		"it waits and is no vote": {&journey{storeErrs: once, seen: votestream.Sighting{QueuedAt: queuedAt}}, 200,
			`"state":"queued","counted":false` + queued, "store queue"},
		"it was given up": {&journey{storeErrs: once, seen: deadVote}, 200,
			`"state":"given_up","counted":false` + cast + trace + `,"reason":"rejected"`, "store queue"},
		"it was stored while the queue was searched": {&journey{storeErrs: once, stored: storedVote, queueErr: votestream.ErrNotQueued}, 200,
			`"state":"counted","counted":true` + cast + queued + stored + trace, "store queue store"},
		"it was stored while Redis did not answer": {&journey{storeErrs: once, stored: storedVote, queueErr: errDown}, 200,
			`"state":"counted","counted":true` + cast + queued + stored + trace, "store queue store"},
		"it is stored and nothing pushed yet": {&journey{stored: storedVote}, 200, `"state":"counted","counted":true` + cast + queued + stored + trace, "store"},
		"it is stored and not pushed": {&journey{stored: storedVote, pushes: []string{"700:700:", "747:750:747"}}, 200,
			`"state":"counted","counted":true` + cast + queued + stored + trace, "store"},
		"it was pushed": {&journey{stored: storedVote, pushes: []string{"700:700:", "747:750:747", "750:750:", "760:760:"}}, 200,
			`"state":"shown","counted":true` + cast + queued + stored + `,"shown_at":"2026-01-02T03:04:08Z"` + trace, "store"},
		"it was pushed before anyone remembers": {&journey{stored: storedVote, pushes: []string{"750:750:", "760:760:"}}, 200,
			`"state":"shown","counted":true` + cast + queued + stored + trace, "store"},
		"it is stored and little known of it": {&journey{stored: bare}, 200, `"state":"counted","counted":true` + cast + stored, "store"},
	} {
		w := c.journey.ask(t)
		want := `{"id":"` + testVoteID + `",` + c.want + `}`
		if body := strings.TrimSpace(w.Body.String()); w.Code != c.status || body != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d\n%s\nwant %d\n%s", name, w.Code, body, c.status, want)
		}
		if asked := strings.Join(c.journey.asked, " "); asked != c.asked || c.journey.id.String() != testVoteID {
			t.Errorf("%s: asked %s for %v, want %s", name, asked, c.journey.id, c.asked)
		}
	}
}

func TestOnlyWhoLookedEverywhereSaysThatAVoteIsUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		journey *journey
		asked   int
	}{
		"PostgreSQL is away":       {&journey{storeErrs: []error{errDown}, queueErr: votestream.ErrNotQueued}, 2},
		"PostgreSQL goes away":     {&journey{storeErrs: []error{votestore.ErrNoVote, errDown}, queueErr: votestream.ErrNotQueued}, 3},
		"Redis is away":            {&journey{storeErrs: twice(votestore.ErrNoVote), queueErr: errDown}, 3},
		"both are":                 {&journey{storeErrs: []error{votestore.ErrNoVote, errDown}, queueErr: errDown}, 3},
		"the queue is a long one":  {&journey{storeErrs: twice(votestore.ErrNoVote), queueErr: votestream.ErrTooFar}, 3},
		"Redis holds another list": {&journey{storeErrs: twice(votestore.ErrNoVote), queueErr: votestream.ErrForeignKey}, 3},
	} {
		w := c.journey.ask(t)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || len(c.journey.asked) != c.asked {
			t.Errorf("%s: %d, Retry-After %q, asked %v", name, w.Code, w.Header().Get("Retry-After"), c.journey.asked)
		}
	}
	w := (&journey{storeErrs: twice(votestore.ErrNoVote), queueErr: votestream.ErrTooFar}).ask(t)
	if !strings.Contains(w.Body.String(), "the queue is too long to look for it") {
		t.Errorf("of a long queue: %s", w.Body)
	}
}

func TestProgramsGetAReceiptInJSONAndBrowsersAPage(t *testing.T) {
	for _, accept := range [][]string{nil, {"*/*"}, {"application/json"}, {browser}} {
		w := (&journey{stored: storedVote}).ask(t, accept...)
		want := "application/json"
		if slices.Contains(accept, browser) {
			want = "text/html; charset=utf-8"
		}
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != want || !slices.Contains(w.Header().Values("Vary"), "Accept") {
			t.Errorf("accepting %q: %d, header %v", accept, w.Code, w.Header())
		}
	}
}

func TestThePageOfAReceiptSaysHowFarTheVoteHasCome(t *testing.T) {
	for name, c := range map[string]struct {
		journey *journey
		status  int
		want    []string
	}{
		"counted": {&journey{stored: storedVote}, 200, []string{`data-state="counted"`, "2 January 2026, 03:04:06.000 UTC"}},
		"shown":   {&journey{stored: storedVote, pushes: []string{"750:750:"}}, 200, []string{`data-state="shown"`}},
		"queued":  {&journey{storeErrs: once, seen: waitingVote}, 200, []string{`data-state="queued"`, "waits in the queue", "cats"}},
		"given up": {&journey{storeErrs: once, seen: deadVote}, 200,
			[]string{`data-state="given_up"`, "could not be stored", "rejected"}},
		"nobody can tell": {&journey{storeErrs: []error{errDown}, queueErr: errDown}, 503, []string{`data-state="unavailable"`, "be told right now"}},
		"unknown": {&journey{storeErrs: twice(votestore.ErrNoVote), queueErr: votestream.ErrNotQueued}, 404,
			[]string{`data-state="unknown"`, "No vote with this number was found."}},
	} {
		w := c.journey.ask(t, browser)
		if w.Code != c.status || !strings.HasPrefix(w.Body.String(), "<!") {
			t.Errorf("%s: %d\n%s", name, w.Code, w.Body)
		}
		wantInPage(t, w.Body.String(), append(c.want, testVoteID)...)
	}
}

func TestAnAddressWithoutAnIDIsNotLookedUp(t *testing.T) {
	j := &journey{stored: storedVote}
	w := j.api(t).get(t, "/votes/1")
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "a UUID") || len(j.asked) != 0 {
		t.Errorf("%d %s, asked %v", w.Code, w.Body, j.asked)
	}
}

// hanging is a queue whose server takes no time or all there is.
type hanging struct {
	hangs bool
	err   error
}

func (h hanging) Find(ctx context.Context, _ uuid.UUID) (votestream.Sighting, error) {
	if h.hangs {
		<-ctx.Done()
		return votestream.Sighting{}, ctx.Err()
	}
	return votestream.Sighting{}, h.err
}

func TestAReceiptIsAnsweredWithinASecondWhateverRedisDoes(t *testing.T) {
	for name, redis := range map[string]hanging{"it hangs": {hangs: true}, "it refuses": {err: errors.New("connection refused")}} {
		synctest.Test(t, func(t *testing.T) {
			q := newResilientQueue(redis, queuePolicy(nil))
			for range 20 {
				start := time.Now()
				a := (&journey{storeErrs: twice(votestore.ErrNoVote)}).api(t)
				a.receipts.queue = q
				w := a.get(t, "/votes/"+testVoteID)
				if took := time.Since(start); w.Code != http.StatusServiceUnavailable || took > time.Second {
					t.Errorf("%s: status %d after %v", name, w.Code, took)
				}
			}
		})
	}
}

func TestWhatIsNotInTheQueueIsNoFailureOfRedis(t *testing.T) {
	policy := queuePolicy(nil)
	for range 20 {
		for _, want := range []error{votestream.ErrNotQueued, votestream.ErrTooFar} {
			if _, err := newResilientQueue(hanging{err: want}, policy).Find(t.Context(), castVote.ID); !errors.Is(err, want) {
				t.Fatalf("%v, want %v", err, want)
			}
		}
	}
}

func TestOnlySoManySearchesGoOnAtOnce(t *testing.T) {
	begun, end := make(chan struct{}, maxSearches), make(chan struct{})
	q := newResilientQueue(finderFunc(func() error { begun <- struct{}{}; <-end; return votestream.ErrNotQueued }), queuePolicy(nil))
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

type finderFunc func() error

func (f finderFunc) Find(context.Context, uuid.UUID) (votestream.Sighting, error) {
	return votestream.Sighting{}, f()
}
