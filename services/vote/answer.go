package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"petvote/shared/ballot"
	"petvote/shared/resilience"
)

// What is wrong with a request. The text behind errBadRequest is for the client.
var (
	errBadRequest = errors.New("bad request")
	errMediaType  = errors.New("Content-Type must be application/json")
	errTooLarge   = errors.New("the body is larger than 4 KiB")
)

type accepted struct {
	Status  string `json:"status"`
	ID      string `json:"id"`
	TraceID string `json:"trace_id"`
}

type refused struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// retryAfter is when a refused client may try again, in seconds: a little longer than a breaker stays open.
const retryAfter = "1"

// answerError is the one place where an error becomes an answer. What it does not know is Redis's failure to take the
// vote, and its words stay in the log.
func answerError(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, ballot.ErrUnknownChoice):
		answer(w, http.StatusBadRequest, refused{"error", ballot.ErrUnknownChoice.Error()})
	case errors.Is(err, errBadRequest):
		answer(w, http.StatusBadRequest, refused{"error", strings.TrimPrefix(err.Error(), errBadRequest.Error()+": ")})
	case errors.Is(err, errMediaType):
		answer(w, http.StatusUnsupportedMediaType, refused{"error", err.Error()})
	case errors.Is(err, errTooLarge):
		answer(w, http.StatusRequestEntityTooLarge, refused{"error", err.Error()})
	default:
		logRefusal(r.Context(), err)
		w.Header().Set("Retry-After", retryAfter)
		answer(w, http.StatusServiceUnavailable, refused{"error", "Votes can't be taken right now; please try again"})
	}
}

// logRefusal says why a vote was refused. What an open breaker refuses, which has been told about when it opened, and what is
// too much, is a flood, and for those who look closely.
func logRefusal(ctx context.Context, err error) {
	level := slog.LevelWarn
	if resilience.Refused(err) || errors.Is(err, errOverloaded) {
		level = slog.LevelDebug
	}
	slog.Log(ctx, level, "vote refused", "error", err)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone if this fails
}

// denyCrossOrigin answers what http.CrossOriginProtection refuses.
func denyCrossOrigin(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusForbidden, refused{"error", "votes from other sites are not taken"})
}
