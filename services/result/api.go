package main

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"petvote/observability/telemetry"
	"petvote/shared/ballot"
	"petvote/shared/lifecycle"
	"petvote/shared/resilience"
	"petvote/shared/votestream"
	"petvote/shared/web"
)

// routes is the public handler. Streams bypass metrics and traces, where an open stream would look like an answer that
// takes hours, and compression, which would hold events back.
func routes(
	tel *telemetry.Telemetry, pages *resultPages, a *api, front *web.Front, events, sockets http.Handler,
	health *lifecycle.Health,
) http.Handler {
	mux := http.NewServeMux()
	pages.register(mux)
	a.register(mux)
	mux.Handle("POST /spans", front.OwnOrigin(tel.Pages(telemetry.SpanRenderResults)))
	mux.HandleFunc("GET /healthz", health.Live)
	mux.HandleFunc("GET /readyz", health.Ready)
	outer := http.NewServeMux()
	outer.Handle("GET /events", events)
	outer.Handle("/socket.io/", sockets)
	outer.Handle("/", tel.HTTP(web.Compress(mux)))
	return front.Handler(web.SecurityHeaders(outer))
}

// api answers programs, and browsers that ask for a receipt.
type api struct {
	cache   *tallyCache
	history *history
	pages   *resultPages
	limit   *web.Limiter // of receipts
	store   receiptReader
	queue   voteFinder
}

func (a *api) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/tally", a.tally)
	mux.Handle("GET /api/history", a.history)
	mux.HandleFunc("GET /votes/{id}", a.receipt)
}

type tallyAnswer struct {
	Votes ballot.Counts `json:"votes"`
	Total int64         `json:"total"`
	AsOf  time.Time     `json:"as_of"`
	Stale bool          `json:"stale"`
}

// tally answers GET /api/tally from the cache, whether PostgreSQL is available or not.
func (a *api) tally(w http.ResponseWriter, r *http.Request) {
	v := a.cache.current()
	if !v.Known {
		writeError(w, r, errNoTally)
		return
	}
	web.JSON(w, http.StatusOK, tallyAnswer{Votes: v.Counts, Total: v.Counts.Total(), AsOf: v.AsOf, Stale: v.Stale})
}

var (
	errMinutes = errors.New("minutes must be a number from 1 to 1440")
	errVoteID  = errors.New("the address must end in a vote's id, a UUID")
)

// writeError is the one place that turns an error into an answer. A failure of PostgreSQL or Redis is logged, not sent.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errMinutes) || errors.Is(err, errVoteID) || errors.Is(err, votestream.ErrMalformedEntry) {
		web.Problem(w, http.StatusBadRequest, err.Error())
		return
	}
	logFailure(r, err)
	w.Header().Set("Retry-After", web.RetrySoon)
	web.Problem(w, http.StatusServiceUnavailable, "The votes can't be read right now; please try again")
}

func logFailure(r *http.Request, err error) {
	level := slog.LevelWarn
	if resilience.Refused(err) { // the breaker's change was logged already
		level = slog.LevelDebug
	}
	slog.Log(r.Context(), level, "request failed", "path", r.URL.Path, "error", err)
}
