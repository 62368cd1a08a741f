package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"petvote/shared/ballot"
	"petvote/shared/resilience"
	"petvote/shared/web"
)

// requestError is an error in a request: the status and the text of its answer.
type requestError struct {
	status int
	text   string
}

func (e requestError) Error() string { return e.text }

type accepted struct {
	Status  string `json:"status"`
	ID      string `json:"id"`
	TraceID string `json:"trace_id"`
	Entry   string `json:"entry"`
}

// retryAfter, in seconds, is longer than a breaker stays open.
const retryAfter = "1"

// answerError is the one place that turns an error into an answer. A failure of Redis is logged, not sent.
func answerError(w http.ResponseWriter, r *http.Request, err error) {
	if bad, ok := errors.AsType[requestError](err); ok {
		web.Problem(w, bad.status, bad.text)
		return
	}
	if errors.Is(err, ballot.ErrUnknownChoice) {
		web.Problem(w, http.StatusBadRequest, ballot.ErrUnknownChoice.Error())
		return
	}
	logRefusal(r.Context(), err)
	w.Header().Set("Retry-After", retryAfter)
	web.Problem(w, http.StatusServiceUnavailable, "Votes can't be taken right now; please try again")
}

// logRefusal logs breaker-open and overload rejections at debug: they come in floods, and the breaker logs its change.
func logRefusal(ctx context.Context, err error) {
	level := slog.LevelWarn
	if resilience.Refused(err) || errors.Is(err, errOverloaded) {
		level = slog.LevelDebug
	}
	slog.Log(ctx, level, "vote refused", "error", err)
}
