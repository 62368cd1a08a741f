package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
	"petvote/shared/resilience"
	"petvote/shared/votestore"
)

// archive is what the API reads besides the board.
type archive interface {
	History(ctx context.Context, since time.Time) ([]votestore.Minute, error)
	Receipt(ctx context.Context, id uuid.UUID) (votestore.Receipt, error)
}

// api answers programs.
type api struct {
	board   *board
	archive archive
	page    *page
}

type tallyAnswer struct {
	Votes ballot.Counts `json:"votes"`
	Total int64         `json:"total"`
	AsOf  time.Time     `json:"as_of"`
	Stale bool          `json:"stale"`
}

// tally answers GET /api/tally from what the board holds, whether PostgreSQL is there or not.
func (a *api) tally(w http.ResponseWriter, r *http.Request) {
	v := a.board.current()
	if !v.Known {
		answerError(w, r, errNoTally)
		return
	}
	answer(w, http.StatusOK, tallyAnswer{Votes: v.Counts, Total: v.Counts.Total(), AsOf: v.AsOf, Stale: v.Stale})
}

// The span of GET /api/history, in minutes.
const (
	defaultMinutes = 60
	maxMinutes     = 24 * 60
)

type historyAnswer struct {
	From    time.Time     `json:"from"` // the first minute
	To      time.Time     `json:"to"`   // the last one, still running
	Minutes []minuteVotes `json:"minutes"`
}

type minuteVotes struct {
	Minute time.Time `json:"minute"`
	ballot.Counts
}

// history answers GET /api/history?minutes=n with the votes cast in each of the last n minutes, oldest first, those
// without votes included.
func (a *api) history(w http.ResponseWriter, r *http.Request) {
	n := defaultMinutes
	if text := r.URL.Query().Get("minutes"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > maxMinutes {
			answerError(w, r, errMinutes)
			return
		}
	}
	to := time.Now().UTC().Truncate(time.Minute)
	from := to.Add(-time.Duration(n-1) * time.Minute)
	voted, err := a.archive.History(r.Context(), from)
	if err != nil {
		answerError(w, r, err)
		return
	}
	answer(w, http.StatusOK, historyAnswer{From: from, To: to, Minutes: fill(voted, from, n)})
}

// fill puts the minutes with votes into a row of n minutes.
func fill(voted []votestore.Minute, from time.Time, n int) []minuteVotes {
	row := make([]minuteVotes, n)
	for i := range row {
		row[i].Minute = from.Add(time.Duration(i) * time.Minute)
	}
	for _, m := range voted {
		if i := int(m.Start.Sub(from) / time.Minute); i >= 0 && i < n {
			row[i].Counts = m.Counts
		}
	}
	return row
}

type receiptAnswer struct {
	ID       uuid.UUID     `json:"id"`
	Counted  bool          `json:"counted"`
	Pet      ballot.Choice `json:"pet,omitempty"`
	CastAt   time.Time     `json:"cast_at,omitzero"`
	StoredAt time.Time     `json:"stored_at,omitzero"`
	TraceID  string        `json:"trace_id,omitempty"`
}

// receipt answers GET /votes/{id}: whether the vote is counted, as a page for browsers. A vote that is not counted yet
// and one that was never cast look the same from here; both are 404.
func (a *api) receipt(w http.ResponseWriter, r *http.Request) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		answerError(w, r, errVoteID)
		return
	}
	status := http.StatusOK
	found, err := a.archive.Receipt(r.Context(), id)
	switch {
	case errors.Is(err, votestore.ErrNoVote):
		status = http.StatusNotFound
	case err != nil:
		answerError(w, r, err)
		return
	}
	counted := status == http.StatusOK
	w.Header().Set("Vary", "Accept")
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		a.page.renderReceipt(w, r, status, receiptView{ID: id.String(), Pet: string(found.Vote.Pet), Counted: counted,
			CastAt: found.Vote.CastAt, StoredAt: found.StoredAt, TraceID: found.TraceID})
		return
	}
	answer(w, status, receiptAnswer{ID: id, Counted: counted, Pet: found.Vote.Pet, CastAt: found.Vote.CastAt,
		StoredAt: found.StoredAt, TraceID: found.TraceID})
}

var (
	errMinutes = errors.New("minutes must be a number from 1 to 1440")
	errVoteID  = errors.New("the address must end in a vote's id, a UUID")
)

type problem struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// answerError is the one place where an error becomes an answer. What it does not know is PostgreSQL's failure, and its
// words stay in the log.
func answerError(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errMinutes), errors.Is(err, errVoteID):
		answer(w, http.StatusBadRequest, problem{"error", err.Error()})
	default:
		level := slog.LevelWarn
		if resilience.Refused(err) { // told when the breaker opened
			level = slog.LevelDebug
		}
		slog.Log(r.Context(), level, "request not answered", "path", r.URL.Path, "error", err)
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusServiceUnavailable, problem{"error", "The votes can't be read right now; please try again"})
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone if this fails
}
