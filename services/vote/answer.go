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

// Errors in a request. The client reads the text that wraps errBadRequest.
var (
	errBadRequest = errors.New("bad request")
	errMediaType  = errors.New("Content-Type must be application/json")
	errTooLarge   = errors.New("the body is larger than 4 KiB")
)

type accepted struct {
	Status  string `json:"status"`
	ID      string `json:"id"`
	TraceID string `json:"trace_id"`
	Entry   string `json:"entry"`
}

type refused struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// retryAfter, in seconds, is longer than a breaker stays open.
const retryAfter = "1"

// answerError is the only place where an error becomes an answer. An error that it does not know is a failure of Redis;
// its text goes to the log only.
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

// logRefusal logs breaker-open and overload rejections at debug: they come in floods, and the breaker's change was
// logged already.
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
	_ = json.NewEncoder(w).Encode(body) // an error means that the client is gone
}

// denyCrossOrigin answers requests that http.CrossOriginProtection refuses.
func denyCrossOrigin(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusForbidden, refused{"error", "votes from other sites are not accepted"})
}
