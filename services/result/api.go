package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"petvote/shared/ballot"
	"petvote/shared/resilience"
	"petvote/shared/votestream"
)

// api answers programs.
type api struct {
	cache    *tallyCache
	history  *history
	receipts *receipts
}

// register mounts the API. The voting page, which has another origin, asks for receipts.
func (a *api) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/tally", a.tally)
	mux.Handle("GET /api/history", a.history)
	mux.Handle("GET /votes/{id}", anyOrigin(a.receipts))
}

// anyOrigin lets pages of every origin read the answers: they are public, and the same for everybody.
func anyOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		next.ServeHTTP(w, r)
	})
}

type tallyAnswer struct {
	Votes ballot.Counts `json:"votes"`
	Total int64         `json:"total"`
	AsOf  time.Time     `json:"as_of"`
	Stale bool          `json:"stale"`
}

// tally answers GET /api/tally from the cache, whether PostgreSQL is there or not.
func (a *api) tally(w http.ResponseWriter, r *http.Request) {
	v := a.cache.current()
	if !v.Known {
		writeError(w, r, errNoTally)
		return
	}
	writeJSON(w, http.StatusOK, tallyAnswer{Votes: v.Counts, Total: v.Counts.Total(), AsOf: v.AsOf, Stale: v.Stale})
}

var (
	errMinutes = errors.New("minutes must be a number from 1 to 1440")
	errVoteID  = errors.New("the address must end in a vote's id, a UUID")
)

type problem struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// writeError is the one place where an error becomes an answer. What it does not know is the failure of PostgreSQL or
// Redis, and its words stay in the log.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errMinutes), errors.Is(err, errVoteID):
		writeJSON(w, http.StatusBadRequest, problem{"error", err.Error()})
	case errors.Is(err, votestream.ErrTooFar):
		w.Header().Set("Retry-After", retryAfter)
		writeJSON(w, http.StatusServiceUnavailable, problem{"error", "The vote is not counted, and the queue is too long to look for it; please try again"})
	default:
		logUnanswered(r, err)
		w.Header().Set("Retry-After", retryAfter)
		writeJSON(w, http.StatusServiceUnavailable, problem{"error", "The votes can't be read right now; please try again"})
	}
}

// retryAfter is when to come again, in seconds: a little longer than a breaker stays open.
const retryAfter = "1"

func logUnanswered(r *http.Request, err error) {
	level := slog.LevelWarn
	if resilience.Refused(err) { // told when the breaker opened
		level = slog.LevelDebug
	}
	slog.Log(r.Context(), level, "request not answered", "path", r.URL.Path, "error", err)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone if this fails
}
