package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
	"petvote/shared/resilience"
	"petvote/shared/tracecontext"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
	"petvote/shared/web"
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
	entry votestream.Entry
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

func (j *journey) Lookup(_ context.Context, e votestream.Entry, id uuid.UUID) (votestream.Location, error) {
	j.asked, j.id, j.entry = append(j.asked, "queue"), id, e
	return j.location, j.queueErr
}

// api serves the receipt; the pushes were a second apart.
func (j *journey) api(t *testing.T) *api {
	t.Helper()
	c := &tallyCache{}
	for i, text := range j.pushes {
		c.pushes.add(snapshot(t, text), castVote.CastAt.Add(time.Duration(i+1)*time.Second))
	}
	return &api{cache: c, store: j, queue: j, pages: newTestPages(linked, view{})}
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
	storedVote = votestore.Receipt{Vote: castVote, Source: votestream.Entry{Queue: "0", ID: "1767323045001-0"}.Bytes(),
		StoredAt: castVote.CastAt.Add(time.Second), Transaction: 747, TraceID: testTraceID}
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
		"it may be queued": {journey{storeErrs: twice(votestore.ErrNoVote), queueErr: votestream.ErrMaybeQueued},
			`"state":"queued_or_unknown","counted":false`, "store queue store", "", "It may be waiting in the queue"},
		"it is queued": {journey{storeErrs: notYet, location: queuedVote},
			isQueued + cast + queued + trace, "store queue", waiting, "is waiting in the queue"},
		"it is queued while PostgreSQL is down": {journey{storeErrs: []error{errDown}, location: queuedVote},
			isQueued + cast + queued + trace, "store queue", waiting, "waiting to be stored"},
		"its entry is malformed": {journey{storeErrs: notYet, location: votestream.Location{EntryID: "1767323045001-0"}},
			isQueued + queued, "store queue", "done, done, now, open", "is waiting in the queue"},
		"it is a dead letter": {journey{storeErrs: notYet, location: deadVote},
			isDead + cast + trace + `,"reason":"rejected"`, "store queue", "done, done, failed, open", "<dd>rejected</dd>"},
		"it was stored during the look-up": {
			journey{storeErrs: notYet, stored: storedVote, queueErr: votestream.ErrMaybeQueued},
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
			state, _, _ := strings.Cut(strings.TrimPrefix(c.json, `"state":"`), `"`)
			status := cmp.Or(map[string]int{"unknown": 404, "queued_or_unknown": 503}[state], 200)
			again := c.journey
			w := c.journey.ask(t)
			wantAnswer(t, w, status, `{"id":"`+testVoteID+`",`+c.json+`}`)
			if asked := strings.Join(c.journey.asked, " "); asked != c.asked || c.journey.id.String() != testVoteID {
				t.Errorf("asked %s for %v, want %s", asked, c.journey.id, c.asked)
			}
			if h := w.Header(); h.Get("Content-Type") != "application/json" || h.Get("Vary") != "Accept" ||
				(h.Get("Retry-After") == "1") != (status == 503) {
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
		wantInPage(t, page.Body.String(), `data-state="unavailable"`, "be looked up right now", testVoteID)
	}
}

func TestAClientAboveItsLimitGetsNoReceipt(t *testing.T) {
	j := &journey{stored: storedVote}
	a := j.api(t)
	a.limit = web.NewLimiter(0.1, 1)
	_ = a.get(t, "/votes/"+testVoteID)
	asked := len(j.asked)
	for accept, want := range map[string]string{"": `{"status":"error",`, browser: "be looked up right now"} {
		w := a.get(t, "/votes/"+testVoteID, accept)
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "10" ||
			w.Header().Get("Access-Control-Expose-Headers") != "Retry-After" || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q: %d %s, header %v", accept, w.Code, w.Body, w.Header())
		}
	}
	if len(j.asked) != asked {
		t.Error("the vote was looked up")
	}
}

func TestAMalformedAddressIsNotLookedUp(t *testing.T) {
	for target, want := range map[string]string{
		"/votes/1":                             "the address must end in a vote's id, a UUID",
		"/votes/" + testVoteID + "?entry=1-0":  votestream.ErrMalformedEntry.Error(),
		"/votes/" + testVoteID + "?entry=0/+":  votestream.ErrMalformedEntry.Error(),
		"/votes/" + testVoteID + "?entry=&x=1": votestream.ErrMalformedEntry.Error(),
	} {
		j := &journey{stored: storedVote}
		wantAnswer(t, j.api(t).get(t, target), http.StatusBadRequest, `{"status":"error","message":"`+want+`"}`)
		page := j.api(t).get(t, target, browser)
		wantInPage(t, page.Body.String(), `data-state="malformed"`, headlines[stateMalformed])
		if page.Code != http.StatusBadRequest || strings.Contains(page.Body.String(), uuid.Nil.String()) {
			t.Errorf("%s: the page: %d", target, page.Code)
		}
		if len(j.asked) != 0 {
			t.Errorf("%s: asked %v", target, j.asked)
		}
	}
}

func TestTheQueueIsAskedForTheVoteAtItsEntry(t *testing.T) {
	for query, want := range map[string]votestream.Entry{
		"": {}, "?entry=0/1-0": {Queue: "0", ID: "1-0"}, "?entry=1%2F2-3": {Queue: "1", ID: "2-3"},
	} {
		j := &journey{storeErrs: notYet, location: queuedVote}
		if w := j.api(t).get(t, "/votes/"+testVoteID+query); w.Code != http.StatusOK || j.entry != want {
			t.Errorf("%s: %d, asked for %+v", query, w.Code, j.entry)
		}
	}
}

// finderFunc is a queue.
type finderFunc func(context.Context) error

func (f finderFunc) Lookup(ctx context.Context, _ votestream.Entry, _ uuid.UUID) (votestream.Location, error) {
	return votestream.Location{}, f(ctx)
}

func TestAReceiptIsAnsweredWithinASecondWhateverRedisDoes(t *testing.T) {
	for name, redis := range map[string]finderFunc{
		"it hangs":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"it refuses": func(context.Context) error { return errDown },
	} {
		synctest.Test(t, func(t *testing.T) {
			q := resilientQueue{redis, queuePolicy("redis", nil)}
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
	policy := queuePolicy("redis", nil)
	for _, want := range slices.Repeat([]error{votestream.ErrNotQueued, votestream.ErrMaybeQueued}, 20) {
		q := resilientQueue{finderFunc(func(context.Context) error { return want }), policy}
		if _, err := q.Lookup(t.Context(), votestream.Entry{}, castVote.ID); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
}

// whereabouts is a queue that holds some votes.
type whereabouts map[votestream.Entry]uuid.UUID

func (w whereabouts) Lookup(_ context.Context, e votestream.Entry, id uuid.UUID) (votestream.Location, error) {
	if w[e] == id {
		return votestream.Location{EntryID: e.ID}, nil
	}
	if len(w) > 0 {
		return votestream.Location{}, votestream.ErrMaybeQueued
	}
	return votestream.Location{}, votestream.ErrNotQueued
}

func TestAVoteIsLookedUpInTheQueueThatItsEntryNamesAndIsUnknownOnlyIfAllSaySo(t *testing.T) {
	id := castVote.ID
	first, second := votestream.Entry{Queue: "0", ID: "7-0"}, votestream.Entry{Queue: "1", ID: "7-0"}
	down := finderFunc(func(context.Context) error { return errDown })
	empty, holds, others := whereabouts{}, whereabouts{second: id}, whereabouts{first: uuid.New()}
	for name, c := range map[string]struct {
		queues []voteFinder
		entry  votestream.Entry
		want   error
	}{
		"in the second":        {[]voteFinder{others, holds}, second, nil},
		"the first is down":    {[]voteFinder{down, holds}, second, nil},
		"at the first's entry": {[]voteFinder{others, empty}, first, votestream.ErrMaybeQueued},
		"both are empty":       {[]voteFinder{empty, empty}, second, votestream.ErrNotQueued},
		"one may have it":      {[]voteFinder{others, empty}, second, votestream.ErrMaybeQueued},
		"one can't say":        {[]voteFinder{empty, down}, first, resilience.ErrUnavailable},
		"at no entry":          {[]voteFinder{empty, empty}, votestream.Entry{}, votestream.ErrNotQueued},
		"of a queue that only others have": {[]voteFinder{empty, empty}, votestream.Entry{Queue: "7", ID: "7-0"},
			votestream.ErrMaybeQueued},
	} {
		var all resilientQueues
		for _, q := range c.queues {
			all = append(all, resilientQueue{q, queuePolicy("redis", nil)})
		}
		if _, err := all.Lookup(t.Context(), c.entry, id); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestQueuesThatHangHoldUpAReceiptNoLongerThanTwoLookUps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := finderFunc(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		var all resilientQueues
		for range 5 {
			all = append(all, resilientQueue{hang, queuePolicy("redis", nil)})
		}
		start := time.Now()
		_, err := all.Lookup(t.Context(), votestream.Entry{Queue: "1", ID: "7-0"}, castVote.ID)
		if took := time.Since(start); !errors.Is(err, resilience.ErrUnavailable) || took > 2*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

type hurriedQueue struct {
	journey
	canceled bool
}

func (q *hurriedQueue) Lookup(ctx context.Context, e votestream.Entry, id uuid.UUID) (votestream.Location, error) {
	q.canceled = ctx.Err() != nil
	return q.journey.Lookup(ctx, e, id)
}

func (q *hurriedQueue) Receipt(ctx context.Context, id uuid.UUID) (votestore.Receipt, error) {
	q.canceled = q.canceled || ctx.Err() != nil
	return q.journey.Receipt(ctx, id)
}

func TestAClientThatLeavesDoesNotCutOffTheLookUp(t *testing.T) {
	q := &hurriedQueue{journey: journey{storeErrs: twice(votestore.ErrNoVote)}}
	a := q.api(t)
	a.store, a.queue = q, q
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/votes/"+testVoteID, nil)
	r.SetPathValue("id", testVoteID)
	a.receipt(httptest.NewRecorder(), r)
	if q.canceled || len(q.asked) < 2 {
		t.Errorf("canceled: %v, asked %v", q.canceled, q.asked)
	}
}

func TestEachUseOfPostgresHasABreakerOfItsOwn(t *testing.T) {
	config := votestore.Config{URL: "postgres://nobody@127.0.0.1:1/petvote"} // where nothing listens
	db, err := config.Open(t.Context(), maxConns, nil)
	testenv.Must(t, err)
	t.Cleanup(db.Close)
	s := newResilientStore(db, nil)
	for name, c := range map[string]struct {
		use    func() error
		policy *resilience.Policy
	}{
		"receipts": {func() error { _, err := s.Receipt(t.Context(), castVote.ID); return err }, s.receipts},
		"history":  {func() error { _, err := s.History(t.Context(), time.Now()); return err }, s.history},
		"scrapes":  {func() error { _, err := s.Stats(t.Context()); return err }, s.stats},
	} {
		for range 10 {
			if err := c.use(); !errors.Is(err, resilience.ErrUnavailable) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if c.policy.Breaker() == resilience.Closed || s.tally.Breaker() != resilience.Closed {
			t.Errorf("%s: its breaker is %v, that of the tally %v", name, c.policy.Breaker(), s.tally.Breaker())
		}
	}
}

func TestTheWaitForAReceiptIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newResilientStore(nil, nil)
		testenv.Must(t, s.receiptSlots.Acquire(t.Context(), receiptsAtOnce))
		start := time.Now()
		_, err := s.Receipt(t.Context(), castVote.ID)
		if took := time.Since(start); !errors.Is(err, resilience.ErrUnavailable) || took != receiptWait {
			t.Errorf("%v after %v", err, took)
		}
	})
}
